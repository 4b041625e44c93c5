"""Ways to train a trunk without labels (and with): one file a method.

May import data, networks and seeding.
"""
