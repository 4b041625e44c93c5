"""Devices: what a task of one device refuses, and how a batch is shared out among several."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf

from singleimg.errors import UserError
from singleimg.learn.methods.untrained import Untrained
from singleimg.learn.training.devices import check_one_device, open_fabric


@pytest.mark.parametrize(("devices", "nodes"), [
    (2, 1), ("auto", 1), (-1, 1), ([0, 1], 1), (1, 2),
])  # fmt: skip
def test_a_task_of_one_device_refuses_several(devices: object, nodes: int) -> None:
    settings = OmegaConf.create({"devices": devices, "num_nodes": nodes})
    with pytest.raises(UserError) as mistake:
        check_one_device(settings, "probe")
    assert str(mistake.value) == (
        f"train.devices={devices} with train.num_nodes={nodes} is not the one device that "
        "task=probe uses: type train.devices=1, or for the fourth GPU 'train.devices=[3]'."
    )


@pytest.mark.parametrize("devices", [1, [3]])
def test_one_device_is_any_one(devices: object) -> None:
    check_one_device(OmegaConf.create({"devices": devices, "num_nodes": 1}), "probe")


def test_a_batch_that_devices_cannot_share_evenly_is_refused() -> None:
    method = Untrained(name="untrained", batch_size=10)
    method.check_devices(5)
    with pytest.raises(UserError) as mistake:
        method.check_devices(4)
    assert str(mistake.value) == (
        "method.batch_size=10 cannot be divided evenly among 4 devices: type for example "
        "method.batch_size=8."
    )


def test_torch_uses_no_more_threads_than_there_are_cores(monkeypatch) -> None:
    """A container's quota is nothing to torch, which counts the cores of the machine."""
    settings = OmegaConf.create(
        {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "precision": "32-true"}
    )
    before = torch.get_num_threads()
    try:
        for cores, threads in ((8, 3), (2, 2), (1, 1)):
            torch.set_num_threads(3)
            monkeypatch.setattr(
                "singleimg.learn.training.devices.available_cores", lambda c=cores: c
            )
            open_fabric(settings)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
