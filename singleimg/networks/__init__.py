"""The networks whose convolutions are trained and probed: one file and one YAML each."""
