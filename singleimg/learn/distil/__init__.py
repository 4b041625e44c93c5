"""What a student knows of a labelled set: its teacher and itself on the test images, and a page.

May import data, methods, training and seeding.
"""
