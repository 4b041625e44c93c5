"""Checkpoints: whole or not there, and no stranger's code in them."""

from __future__ import annotations

import io
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.bigan import BiGAN
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.training import checkpoints
from singleimg.system.signals import Stopped, stoppable
from tests.learn.tiny import built, new_state, same, updates, weights

STATE = {"fingerprint": "f", "method": {"weight": torch.ones(3)}, "step": 4}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a checkpoint is to be; the folder is not there yet."""
    return tmp_path / "run" / checkpoints.FOLDER / checkpoints.LAST


def unreadable(file: Path) -> str:
    """Why a file cannot be read, without what torch says of it."""
    with pytest.raises(UserError) as mistake:
        checkpoints.load(file)
    text = str(mistake.value)
    head, tail = (
        f"{file} cannot be read as a checkpoint (",
        ("): remove it, or type task.resume=never to start again."),
    )
    assert text.startswith(head) and text.endswith(tail) and "\n" not in text
    return text[len(head) : -len(tail)]


def there(file: Path) -> list[str]:
    return sorted(one.name for one in file.parent.iterdir())


# --- written -------------------------------------------------------------------------------------


def test_a_checkpoint_comes_back_in_folders_that_are_made(file: Path) -> None:
    epoch = {"order": torch.arange(6).view(2, 3), "sums": {"loss": 0.5}, "done": 1}
    state = {**STATE, "epoch": epoch, "metrics": {}, "random": torch.get_rng_state()}
    checkpoints.save(file, state)
    again = checkpoints.load(file)
    assert set(again) == set(state) and again["step"] == 4 and again["fingerprint"] == "f"
    assert torch.equal(again["method"]["weight"], torch.ones(3))
    assert torch.equal(again["epoch"]["order"], epoch["order"])
    assert again["epoch"]["sums"] == {"loss": 0.5} and there(file) == ["last.pt"]


def test_a_newer_one_takes_the_place_of_the_old_one(file: Path) -> None:
    for step in (1, 2):
        checkpoints.save(file, {**STATE, "step": step})
    assert checkpoints.load(file)["step"] == 2 and there(file) == ["last.pt"]


def half(state: dict, stream: io.BufferedWriter) -> None:
    """Writes a part, as a disk that fills up lets one."""
    stream.write(b"half")
    raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0\nstack")


def full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def stopped(state: dict, stream: io.BufferedWriter) -> None:
    """Ctrl-C, or SIGTERM, in the middle."""
    stream.write(b"half")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("where", "failure", "reason"), [
    ("torch.save", half, "[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
    ("torch.save", full, "No space left on device"),
    ("os.fsync", full, "No space left on device"),
    ("pathlib.Path.replace", full, "No space left on device"),
])  # fmt: skip
def test_a_write_that_fails_leaves_the_old_one_whole_and_nothing_beside_it(
    file: Path, where: str, failure: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(file, STATE)
    before = file.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(where, failure)
        with pytest.raises(UserError) as mistake:
            checkpoints.save(file, {**STATE, "step": 5})
    assert str(mistake.value) == (
        f"targetpath={file.parents[1]} cannot be written ({reason}): type another targetpath, make "
        "room, or change its permissions."
    )
    assert file.read_bytes() == before and there(file) == ["last.pt"]


def test_a_run_that_is_stopped_while_it_writes_leaves_nothing_beside_the_old_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(file, STATE)
    monkeypatch.setattr(torch, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(file, {**STATE, "step": 5})
    assert checkpoints.load(file)["step"] == 4 and there(file) == ["last.pt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_wherever_a_signal_arrives_the_checkpoint_is_whole_and_then_the_run_stops(
    file: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch makes a RuntimeError of what is raised while it writes, as it does of a full disk."""
    save, writes = torch.save, []
    monkeypatch.setattr(torch, "save", lambda state, stream: save(state, Signalling(stream)))

    class Signalling(io.BytesIO):
        """A stream during whose write number ``at`` a signal comes."""

        def __init__(self, stream: io.BufferedWriter) -> None:
            super().__init__()
            self.stream = stream

        def write(self, data: Any) -> int:
            writes.append(len(data))
            if len(writes) == at:
                signal.raise_signal(number)
            return self.stream.write(data)

    at = 0
    checkpoints.save(file, STATE)
    for at in range(1, len(writes) + 1):
        writes.clear()
        with pytest.raises(Stopped) as stopped, stoppable():
            checkpoints.save(file, {**STATE, "step": at})
        assert stopped.value.status == 128 + number
        assert checkpoints.load(file)["step"] == at and there(file) == ["last.pt"]


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_it_goes_on(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, fsync, replace = [], os.fsync, Path.replace

    def synced(handle: int) -> None:
        events.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "bytes")
        fsync(handle)

    def renamed(path: Path, target: Path) -> None:
        events.append("name")
        replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    checkpoints.save(file, STATE)
    assert events == ["bytes", "name", "folder"]


@pytest.mark.parametrize(("fraction", "name"), [
    (0.1, "at-10.pt"), (0.05, "at-05.pt"), (1.0, "at-100.pt"), (0.29, "at-29.pt"),
])  # fmt: skip
def test_one_that_stays_is_named_by_its_percent(fraction: float, name: str) -> None:
    assert checkpoints.name_at(fraction) == name


# --- read ----------------------------------------------------------------------------------------


class Stranger:
    """Whose pickle runs a command."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch damaged",)


def pickled(value: Any) -> bytes:
    return pickle.dumps(value, protocol=2)


def saved(value: Any, **settings: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **settings)
    return stream.getvalue()


@pytest.mark.parametrize("data", [
    pickled(Stranger()),
    pickled({**STATE, "method": Stranger()}),
    saved(Stranger()),
    saved({**STATE, "method": Stranger()}),
    saved({**STATE, "method": Stranger()}, _use_new_zipfile_serialization=False),
], ids=["pickle", "pickled state", "torch", "torch state", "old torch state"])  # fmt: skip
def test_no_strangers_code_is_run(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "last.pt").write_bytes(data)
    assert "Weights only load failed" in unreadable(tmp_path / "last.pt")
    assert os.listdir(tmp_path) == ["last.pt"]


def test_a_truncated_file_is_said_to_be_none_wherever_it_ends(tmp_path: Path) -> None:
    data = saved(STATE)
    for length in sorted({0, 1, 2, 3, 4, 17, 60, len(data) // 2, len(data) - 1}):
        (tmp_path / "last.pt").write_bytes(data[:length])
        unreadable(tmp_path / "last.pt")


@pytest.mark.parametrize("data", [
    b"hello\n", b"{}", b"I", b"(", b"\x80", b"\x80\x02M\x01", b"\x80\x02G\x01", b"a" * 200,
    b"\x80\x02(K\x01](t.", pickled({1: 2}), saved(STATE, _use_new_zipfile_serialization=False)[:40],
], ids=range(11))  # fmt: skip
def test_any_other_bytes_are_said_to_be_no_checkpoint(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(data)
    with pytest.raises(UserError, match=r"cannot be read as a checkpoint|is not a checkpoint of"):
        checkpoints.load(tmp_path / "last.pt")


def test_noise_is_said_to_be_no_checkpoint(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        (tmp_path / "last.pt").write_bytes(random.bytes(int(random.integers(1, 60))))
        with pytest.raises(UserError):
            checkpoints.load(tmp_path / "last.pt")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    assert unreadable(tmp_path)


@pytest.mark.parametrize("state", [
    {"weight": torch.ones(2)}, torch.ones(3), [STATE], {}, {"fingerprint": "f", "step": 1},
], ids=["weights", "tensor", "list", "empty", "no method"])  # fmt: skip
def test_a_file_of_torchs_that_is_none_of_ours_is_said_to_be_none(
    tmp_path: Path, state: Any
) -> None:
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(UserError) as mistake:
        checkpoints.load(tmp_path / "other.pt")
    assert str(mistake.value) == (
        f"{tmp_path / 'other.pt'} is not a checkpoint of task=pretrain: type the folder of one."
    )


def test_a_file_that_is_not_there_is_said_to_be_missing(file: Path) -> None:
    with pytest.raises(UserError) as mistake:
        checkpoints.load(file)
    assert str(mistake.value) == (f"{file} does not exist: type the folder of a task=pretrain.")


# --- written by older versions -------------------------------------------------------------------


def old_names(names: dict[str, Any]) -> dict[str, Any]:
    """As BiGAN's discriminator was called before."""
    return {name.replace("discriminator", "judge"): value for name, value in names.items()}


def test_a_bigan_of_an_older_version_is_loaded_and_resumes(
    file: Path, pictures: InMemory, state: TrainState
) -> None:
    method = built(BiGAN, pictures, width=4, hidden=8, latent=4)
    metrics = updates(method, pictures, state, 2)[-1]
    optimizers = {key: one.state_dict() for key, one in method.optimizers.items()}
    checkpoints.save(file, {
        "fingerprint": "f", "step": 2, "method": old_names(method.state_dict()),
        "optimizers": old_names(optimizers), "metrics": old_names(metrics),
        "epoch": {"number": 0, "done": 2, "sums": old_names(metrics)},
    })  # fmt: skip
    loaded = checkpoints.load(file)
    again = built(BiGAN, pictures, width=4, hidden=8, latent=4)
    again.load_state_dict(loaded["method"])
    for key, optimizer in again.optimizers.items():
        optimizer.load_state_dict(loaded["optimizers"][key])
    assert same(weights(again), weights(method))
    # In their order: a table that was begun has a column for each.
    assert list(loaded["metrics"]) == list(loaded["epoch"]["sums"]) == list(BiGAN.metrics)
    resumed = new_state()
    resumed.step = 2
    assert updates(again, pictures, resumed, 2) == updates(method, pictures, state, 2)
    assert same(weights(again), weights(method))
