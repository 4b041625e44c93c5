"""One dataset on disk: its recipe, what may be done with its folder, and how training reads it.
Imports images, outputs and what lies below."""
