"""The second product, training and probing: nothing outside imports it, but the public face."""
