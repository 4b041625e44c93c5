"""Pages: one file of HTML each, which asks for no other, by Jinja2 and the templates in pages/."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    import jinja2


def render(template: str, **values: Any) -> str:
    """A text of these values; in a page of HTML none of them is taken for HTML."""
    return _environment().get_template(template).render(**values)


def picture_source(image: Image.Image, lossless: bool = False) -> str:
    """A picture as an address that holds all of it."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=85, lossless=lossless)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    import jinja2  # workers, who import what makes pages, make none

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("singleimg.report", "pages"),
        autoescape=lambda name: name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["source"] = picture_source
    return environment
