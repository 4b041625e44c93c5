"""Pixels to the bytes of an image file. Imports errors."""
