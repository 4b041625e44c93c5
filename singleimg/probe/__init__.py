"""Linear probes: how much does each convolution of a frozen trunk know of the classes of images?"""
