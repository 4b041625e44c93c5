"""The way in from a checkout: composes the configuration, runs the task, exits with its status."""

from __future__ import annotations

import sys

from singleimg.__main__ import main

# Hydra's completion for fish completes scripts alone that contain the text "@hydra.main".
if __name__ == "__main__":
    sys.exit(main())
