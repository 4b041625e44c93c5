"""What a trunk has learned: one file a protocol, and the scores of each layer.

May import data, networks and seeding, and of training the checkpoints.
"""
