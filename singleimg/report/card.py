"""What others read of a dataset: a card for Hugging Face, and a description in Croissant.

Both are functions of the recipe and of the number of images alone: the same bytes wherever and
whenever a dataset is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from singleimg.report.page import render

_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"),
          (1e7, "1M<n<10M"), (1e8, "10M<n<100M"), (1e9, "100M<n<1B"))  # fmt: skip


@dataclass(frozen=True)
class Card:
    """What is said.

    lead: a sentence. recipe: sentences. made_with: versions by name. licence: of the source, as its
    owner gives it; None: not known. files: which files hold images, as a pattern below the dataset;
    None where nobody but the format's own library reads them. media: their type, None: they are
    image files; column: of a table, in which the bytes of images are. suffix: of an image file.
    read: lines of Python.
    """

    name: str
    count: int
    lead: str
    recipe: Sequence[str]
    seed: int
    fingerprint: str
    made_with: Mapping[str, str]
    licence: str | None
    files: str | None
    media: str | None
    column: str | None
    suffix: str
    read: Sequence[str]

    @property
    def licence_text(self) -> str:
        """For people."""
        if self.licence is None:
            return (
                "Not known. Whoever passes these images on needs the right to pass the source on: "
                "every image is a part of it. `image.licence=…` writes it down."
            )
        return f"{self.licence}. Every image is a part of the source, to which this applies."

    def markdown(self, mark: str) -> str:
        """``README.md``; ``mark``: a line that says whose it is."""
        short = self.licence and re.fullmatch(r"[A-Za-z0-9.+-]+", self.licence)
        named = self.licence.lower() if short else "other"
        head: dict[str, Any] = {
            "license": named if self.licence else "unknown",
            "pretty_name": self.name,
            "tags": ["self-supervised-learning", "single-image-pretraining", "singleimg"],
            "task_categories": ["image-feature-extraction"],
            "size_categories": [next((text for most, text in _SIZES if self.count < most), "n>1B")],
        }
        if self.files is not None:
            files = [{"split": "train", "path": self.files}]
            head["configs"] = [{"config_name": "default", "data_files": files}]
        return render("card.md", card=self, head=yaml.safe_dump(head, sort_keys=False), mark=mark)

    def croissant(self) -> str:
        """``croissant.json``: https://docs.mlcommons.org/croissant/docs/croissant-spec.html."""
        image = {"@type": "cr:Field", "@id": "images/image", "name": "images/image",
                 "dataType": "sc:ImageObject"}  # fmt: skip
        described: dict[str, Any] = {
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "name": re.sub(r"[^A-Za-z0-9_-]+", "-", self.name),
            "description": f"{self.lead} {' '.join(self.recipe)} Fingerprint {self.fingerprint}.",
            "conformsTo": "http://mlcommons.org/croissant/1.0",
            "citeAs": "https://arxiv.org/abs/1904.13132",
            "license": self.licence or "unknown",
            "version": f"1.0.0+{self.fingerprint[:8]}.{self.count}",
            "isLiveDataset": False,
        }
        files = {"@type": "cr:FileSet", "@id": "files", "name": "files"}
        if self.files is None:
            described["distribution"] = []
        elif self.media is not None:
            described["distribution"] = [
                {**files, "encodingFormat": self.media, "includes": self.files}
            ]
            if self.column is not None:
                extract = {"column": self.column}
                image["source"] = {"fileSet": {"@id": "files"}, "extract": extract,
                                   "transform": {"jsonPath": "bytes"}}  # fmt: skip
        else:
            kind = {".jpg": "image/jpeg"}.get(self.suffix, f"image/{self.suffix[1:]}")
            described["distribution"] = [
                {**files, "encodingFormat": kind, "includes": f"{self.files}/*{self.suffix}"}
            ]
            image["source"] = {"fileSet": {"@id": "files"}, "extract": {"fileProperty": "content"}}
        if "source" in image:
            described["recordSet"] = [
                {"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": [image]}
            ]
        return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


# Given in the specification, the same for all.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
