"""What was learned: one file a protocol, and the scores."""
