"""A run: what to make, who works, what a worker does, how far it is. Imports dataset, report and
what lies below."""
