"""On what a training runs: Lightning Fabric, for devices, precision, several GPUs and nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig

from singleimg.errors import UserError
from singleimg.system.cores import available_cores
from singleimg.system.extras import install
from singleimg.system.malloc import keep_freed_memory

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = ("32-true", "bf16-mixed")


def open_fabric(settings: DictConfig) -> Fabric:
    """A launched Fabric of ``train.accelerator``, ``devices``, ``num_nodes``, ``precision``.

    With several devices Fabric starts this command once more for each; ``torchrun`` and SLURM are
    recognised, and start them themselves.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.utilities.exceptions import MisconfigurationException
    except ModuleNotFoundError:
        raise UserError(
            "task=pretrain needs the module lightning_fabric, which is not installed: type "
            f"{install('train')}."
        ) from None
    if settings.precision not in PRECISIONS:
        raise UserError(
            f"train.precision={settings.precision} is not one of {', '.join(PRECISIONS)}: type "
            "train.precision=32-true."
        )
    if settings.precision != "32-true":
        torch.set_float32_matmul_precision("high")
    keep_freed_memory()
    try:
        fabric = Fabric(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            precision=settings.precision,
        )
        fabric.launch()
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise UserError(
            f"train.accelerator={settings.accelerator} with train.devices={settings.devices} is "
            f"not available here ({' '.join(str(error).split())}): type train.accelerator=auto "
            "train.devices=1."
        ) from None
    # torch counts the cores of the machine, of which a container may have few.
    share = available_cores() * settings.num_nodes // fabric.world_size
    torch.set_num_threads(max(1, min(torch.get_num_threads(), share)))
    return fabric


def describe_devices(fabric: Fabric) -> dict[str, Any]:
    """What a training runs on, as it is recorded."""
    nodes = getattr(fabric.strategy, "num_nodes", 1)
    return {"accelerator": fabric.device.type, "devices": fabric.world_size, "machines": nodes}


def check_one_device(settings: DictConfig, task: str) -> None:
    """Raises UserError when several are asked for, for a task that cannot use them."""
    devices = settings.devices
    listed = isinstance(devices, Sequence) and not isinstance(devices, str)
    if (len(devices) if listed else devices) != 1 or settings.num_nodes != 1:
        raise UserError(
            f"train.devices={devices} with train.num_nodes={settings.num_nodes} is not the one "
            f"device that task={task} uses: type train.devices=1, or for the fourth GPU "
            "'train.devices=[3]'."
        )
