"""The trunks: one file a network."""
