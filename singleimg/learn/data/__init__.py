"""The images that training and probes see, and how they are cropped: one file a labelled set.

May import seeding, and below learn/ whatever reads or renders images.
"""
