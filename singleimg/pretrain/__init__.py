"""Pretraining without labels: the paper's methods (one file and one YAML each), and their loop."""
