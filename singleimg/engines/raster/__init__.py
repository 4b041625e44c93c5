"""The raster: what a pixel is, in integers, and the compiled C that makes it. See docs/raster.md.

``build`` and ``hook`` import the standard library alone, so that an install can run them before
anything else is there; ``library`` imports errors and system.
"""
