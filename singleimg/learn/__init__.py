"""The second product: training networks without labels on these images, and probing them.

Nothing outside imports it but the public face. ``tasks`` stand on ``study`` and ``distil``, these
on ``training`` and ``probes``, these on ``methods``, on ``networks`` and ``data``; ``seeding`` is
below all.
"""
