"""The trunks that are trained and probed, and BiGAN's other networks: one file a network.

May import nothing of learn/.
"""
