"""The images that training and probes see: one file a labelled set."""
