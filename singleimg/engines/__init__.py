"""Source pixels and drawn parameters to pixels: one file an engine. Imports drawing, transforms,
sources and errors."""
