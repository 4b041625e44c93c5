"""Where chunks run: one file a backend. Imports errors and system."""
