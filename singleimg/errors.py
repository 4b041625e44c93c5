"""The one exception that means: a person can mend this by typing something else."""

from __future__ import annotations


class UserError(Exception):
    """One sentence for a person: what was wrong, where, what is allowed, what to type instead.

    Raised anywhere, printed only by the outermost line of ``run.py``, which then exits with 1.
    """
