"""``python -m singleimg``: what ``python run.py`` does in a checkout."""

from __future__ import annotations

import sys

from singleimg.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
