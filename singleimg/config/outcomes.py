"""What became of each job of a sweep: a file for each, written where it runs, read by the sweep."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from singleimg.storage.resolve import store_at

FOLDER = ".jobs"  # in the sweep's folder
BEGUN, DONE, FAILED = "begun", "done", "failed"


@dataclass
class Outcome:
    """One job.

    run: the command that ran it last. swept: what this job has of its own, as it was typed; typed:
    all of it. images, bytes: of the dataset in ``folder``, where the job has one. value: what the
    task returned.
    """

    number: int
    run: str
    swept: list[str]
    typed: list[str]
    status: str = BEGUN
    folder: str | None = None
    images: int | None = None
    bytes: int | None = None
    value: float | None = None
    seconds: float | None = None
    error: str | None = None

    def write(self, sweep: Path) -> None:
        """Beside those of the other jobs; whole or not at all."""
        file = _file(sweep, self.number)
        file.parent.mkdir(parents=True, exist_ok=True)
        hidden = file.with_suffix(".new")
        hidden.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        hidden.replace(file)


def read_outcome(sweep: Path, number: int) -> Outcome | None:
    """That of one job; None where it did not begin."""
    with suppress(OSError, ValueError, TypeError):
        return Outcome(**json.loads(_file(sweep, number).read_text(encoding="utf-8")))
    return None


def read_outcomes(sweep: Path) -> list[Outcome]:
    """Those of all jobs that began, by their numbers."""
    numbers = sorted(int(f.stem) for f in (sweep / FOLDER).glob("*.json") if f.stem.isdecimal())
    found = [read_outcome(sweep, number) for number in numbers]
    return [one for one in found if one is not None]


def made_in(folder: str | None) -> tuple[int | None, int | None]:
    """Images and bytes of a dataset that is whole; None and None where there is none."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        about = json.loads(store_at(folder).read("dataset.json"))
        return about["images"], about["bytes"]
    return None, None


def _file(sweep: Path, number: int) -> Path:
    return sweep / FOLDER / f"{number}.json"
