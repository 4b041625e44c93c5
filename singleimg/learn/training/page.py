"""The page of a training: its settings, curves and pictures, read from the files in its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from PIL import Image

from singleimg.config.command_line import replay, trusting
from singleimg.dataset.target import PAGE
from singleimg.errors import UserError, clause
from singleimg.jobs.card import source_name
from singleimg.learn.training import checkpoints
from singleimg.learn.training.journal import EPOCHS, PICTURES, UPDATES, read
from singleimg.learn.training.trunk import RECORD as RECORD
from singleimg.learn.training.trunk import load_record
from singleimg.report.charts import Chart, Series, curves
from singleimg.report.results import Picture, ResultsPage, Section, two_columns
from singleimg.report.words import sentences
from singleimg.storage.local import LocalStore
from singleimg.system.figures import duration
from singleimg.system.logs import log

CONFIG, FILTERS = "config.yaml", "filters"
_PLACES = ("step", "epoch")  # columns that say where a line of a journal is
_SAID = {"lr": "learning rate", "gradient_norm": "norm of the gradient",
         "images_per_second": "images/s", "accuracy": "pretext accuracy"}  # fmt: skip
_OWN_TASK = (
    "Loss and accuracy are those of the method's own task on the images it trains on: its pretext "
    "task, or for a method that learns from labels these."
)


def write_page(folder: Path, trusted_modules: Sequence[str] = ()) -> Path:
    """Writes ``report.html`` beside the checkpoints of a training; where."""
    store = LocalStore(folder)
    html = training_page(folder, trusted_modules).html()
    with store.errors():
        store.write(PAGE, html)
    return folder / PAGE


def try_page(folder: Path, trusted_modules: Sequence[str] = ()) -> None:
    """The same at the end of a training, which a page that cannot be written does not undo."""
    try:
        log.info("Report:  %s", write_page(folder, trusted_modules))
    except UserError as error:
        log.warning("The page is missing (%s): type task=report to write it.", clause(error))


def training_page(folder: Path, trusted_modules: Sequence[str] = ()) -> ResultsPage:
    """The page of the training in ``folder``, so far as it is; UserError when it holds none."""
    record, file = load_record(folder), folder / checkpoints.FOLDER / checkpoints.LAST
    if not file.exists():
        raise UserError(
            f"targetpath={folder} holds a training that has no checkpoint yet: type the command "
            "that started it."
        )
    last = checkpoints.load(file)
    decides, inputs = record["decides"], record["decides"]["inputs"]
    method, images, data = called(decides["method"]), inputs["images"], _data(folder, inputs)
    page = ResultsPage(
        title=folder.resolve().name,
        lead=f"{method} with {called(decides['network'])}, trained on {images:,} images ({data}) "
        f"for {last['step']:,} updates.",
    )
    page.facts = [
        ("method", method),
        ("data", data),
        ("images", f"{images:,}"),
        ("seed", str(decides["seed"])),
        ("updates", f"{last['step']:,}"),
        ("epochs", f"{last['epochs']:,}"),
        ("time", duration(last["seconds"])),
        *((f"{name_of(key)}, last epoch", f"{value:.4g}")
          for key, value in last["metrics"].items()),
    ]  # fmt: skip
    transforms = next(
        (inputs[kind]["transforms"] for kind in ("rendered", "stored") if kind in inputs), ()
    )
    pictures = [
        Picture(image, f"{_words(name)} after epoch {epoch}", _caption(name, epoch))
        for name, (epoch, image) in last_pictures(folder).items()
    ]
    trained_on = [("trained on", _devices(one)) for one in record["trained_on"]]
    versions = list(record["made_with"].items())
    page.sections = [
        Section("Curves", said=[_OWN_TASK], charts=training_curves(folder)),
        Section("First-layer filters", pictures=pictures[:1]),
        Section("Pictures", pictures=pictures[1:]),
        Section("The images", items=sentences(transforms)),
        Section("Settings", tables=[two_columns(("key", "value"), [*flat(decides), *trained_on])]),
        Section(
            "The same again",
            commands=[
                replay(folder, "targetpath=elsewhere", *trusting(trusted_modules)),
                f"trunk = singleimg.load_trunk({str(folder)!r})",
            ],
        ),
        Section("Made with", tables=[two_columns(("what", "version"), versions)]),
    ]
    return page


def _data(folder: Path, inputs: Mapping[str, Any]) -> str:
    """Where the images come from, for people."""
    if "data" in inputs:
        return str(inputs["data"])
    if "stored" in inputs or not (folder / CONFIG).exists():
        return next(iter(inputs))
    cfg = OmegaConf.load(folder / CONFIG)
    return f"{source_name(cfg.image)}, {cfg.augment.name}"


def _words(name: str) -> str:
    return "Filters of the first convolution" if name == FILTERS else name.replace("_", " ")


def _caption(name: str, epoch: int) -> str:
    stretched = ", each stretched to its own range" if name == FILTERS else ""
    return f"{_words(name)} after epoch {epoch}{stretched}."


def _devices(one: Mapping[str, Any]) -> str:
    said = ", ".join(f"{key} {value}" for key, value in one.items() if key != "from_update")
    return f"from update {one['from_update']:,}: {said}"


def called(settings: Mapping[str, Any]) -> str:
    """What a choice of a group calls itself; one that has no ``name``: its class."""
    return str(settings.get("name") or settings["_target_"].rpartition(".")[2])


def name_of(key: str) -> str:
    """A column of a journal, for people; one that nobody knows by its own name."""
    return _SAID.get(key, key.replace("_", " "))


def flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted keys and texts; what the images are stands elsewhere."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and (before or key != "inputs"):
            pairs += flat(value, f"{before}{key}.")
        elif key not in ("_target_", "inputs"):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            pairs.append((f"{before}{key}", "null" if value is None else text))
    return pairs


# --- curves --------------------------------------------------------------------------------------


def training_curves(folder: Path) -> list[Chart]:
    """A chart of each column of the journal: all its updates, and the means of epochs."""
    updates, epochs = _columns(folder / UPDATES), _columns(folder / EPOCHS)
    charts = []
    for key in dict.fromkeys([*updates, *epochs]):
        lines = [("each update that was logged", updates), ("mean of an epoch", epochs)]
        series = [Series(name, *source[key]) for name, source in lines if key in source]
        charts.append(curves(f"{name_of(key)} by update", series))
    return charts


def curves_of_runs(folders: Mapping[str, Path]) -> list[Chart]:
    """A chart of each thing that was measured, and of the learning rate: a line for each run.

    What never changes has none.
    """
    runs = {name: _columns(folder / UPDATES) for name, folder in folders.items()}
    epochs = {name: _columns(folder / EPOCHS) for name, folder in folders.items()}
    wanted = dict.fromkeys(key for columns in epochs.values() for key in columns)
    charts = []
    for key in [*wanted, "lr"]:
        series = [
            Series(name, *columns[key])
            for name in folders
            for columns in (runs[name] if key in runs[name] else epochs[name],)
            if key in columns
        ]
        if any(len(set(one.y)) > 1 for one in series):
            charts.append(curves(f"{name_of(key)} by update", series))
    return charts


def _columns(file: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Updates and values of each column but those that are 0 throughout: nobody set them."""
    lines = read(file) if file.exists() else []
    steps = [line["step"] for line in lines]
    columns = {key: [line[key] for line in lines] for key in lines[0]} if lines else {}
    return {
        key: (steps, values)
        for key, values in columns.items()
        if key not in _PLACES and any(values)
    }


# --- pictures ------------------------------------------------------------------------------------


def last_pictures(folder: Path) -> dict[str, tuple[int, Image.Image]]:
    """By name the last picture of each kind, and its epoch; the filters first."""
    found: dict[str, tuple[int, Path]] = {}
    for file in sorted((folder / PICTURES).glob("*.png")):
        parts = re.fullmatch(r"(.+)-(\d+)", file.stem)
        if parts:
            found[parts[1]] = max(found.get(parts[1], (0, file)), (int(parts[2]), file))
    ordered = sorted(found.items(), key=lambda item: item[0] != FILTERS)
    return {name: (epoch, _opened(file)) for name, (epoch, file) in ordered}


def _opened(file: Path) -> Image.Image:
    with Image.open(file) as image:
        return image.convert("RGB")
