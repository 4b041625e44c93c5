"""Where the settings lie: beside the package in a checkout, and within it once installed."""

from pathlib import Path

_INSTALLED = Path(__file__).parents[1] / "conf"  # a wheel brings the settings inside the package
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf"
