"""Where shards run: one file a backend. Imports errors and system."""
