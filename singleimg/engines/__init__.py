"""Who renders: each engine turns a source image and drawn parameters into pixels."""
