"""Where source pixels come from: one file a source. Imports errors."""
