"""What every store owes."""

from __future__ import annotations

TEMPORARY = ".tmp-"  # how every name begins that a stopped run may leave
