"""The formats on disk: each output writes shards of encoded images and commits them whole."""
