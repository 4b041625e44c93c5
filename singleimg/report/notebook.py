"""What a notebook shows of images: a contact sheet above the text that it would show else."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np

from singleimg.report.preview import contact_sheet

SHOWN = 24  # images, at most
_COLUMNS, _SIZE = 8, 96  # of them in a row, and pixels of each


def display(images: Sequence[np.ndarray], text: str) -> str:
    """HTML: ``images`` (``uint8`` H×W×3) in rows of eight, and ``text`` below."""
    file = io.BytesIO()
    contact_sheet(images, min(_COLUMNS, len(images)), _SIZE).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure style="margin:0"><img alt="the first {len(images)} images" '
        f'style="max-width:100%" src="data:image/png;base64,{data}">'
        f"<figcaption><code>{escape(text)}</code></figcaption></figure>"
    )
