"""One training from its first update to its last, with checkpoints and a journal.

May import data, networks, methods and seeding.
"""
