"""The formats on disk, layout and codec: one file an output. Imports storage, encoders, drawing and
errors."""
