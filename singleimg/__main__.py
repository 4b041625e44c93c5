"""``python -m singleimg``, the command ``singleimg``, and in a checkout ``python run.py``."""

from __future__ import annotations

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until the program is there and answers itself, Ctrl-C ends it without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from singleimg.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
