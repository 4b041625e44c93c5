"""The raster: what a pixel is, in integers, and the compiled C that makes it. See docs/raster.md.

``build`` imports the standard library alone, and ``hook`` hatchling besides: an install runs them
before anything else is there. ``library`` imports errors and system.
"""
