"""Keys and names that were others before: what to type now, and how old files are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf, flag_override

from singleimg.errors import UserError

# A former key, and what is typed in its place; files that were written before may hold it.
FORMER = {
    "repair": "task=repair instead of task=verify",
    "deep": "task.deep={value}",
    "to": "task.to={value}",
    "dataset": "task.dataset={value}",
    "checkpoint": "task.checkpoint={value}",
    "resume": "task.resume={value}",
    "train.images": "task.images={value}",
    "train.keep": "task.keep={value}",
    "train.tensorboard": "task.tensorboard={value}",
    "study.parts": "task.parts={value}",
    "output.encoding": "encode={value}",
    "output.quality": "encode.quality={value}",
    "output.subsampling": "encode.subsampling={value}",
    "output.jpeg": "encode.library={value}",
}
# Names of choices by the dotted paths that stood for them first. Fingerprints of trainings, which
# hold them, still say them so.
_PATHS: dict[str, dict[str, str]] = {
    "task": {
        "generate": "singleimg.generate.generate",
        "verify": "singleimg.verify.verify",
        "export": "singleimg.export.export",
        "pretrain": "singleimg.pretrain.task.pretrain",
        "probe": "singleimg.probe.task.probe",
        "shortcut": "singleimg.shortcut.shortcut",
        "study": "singleimg.study.task.study",
    },
    "image": {
        "file": "singleimg.source.File",
        "folder": "singleimg.source.Folder",
        "url": "singleimg.source.Url",
        "dead_leaves": "singleimg.source.DeadLeaves",
        "noise": "singleimg.source.Noise",
    },
    "engine": {
        "native": "singleimg.engines.native.NativeEngine",
        "reference": "singleimg.engines.reference.ReferenceEngine",
    },
    "output": {
        "folder": "singleimg.outputs.folder.FolderOutput",
        "webdataset": "singleimg.outputs.webdataset.WebDatasetOutput",
        "parquet": "singleimg.outputs.parquet.ParquetOutput",
        "lmdb": "singleimg.outputs.lmdb.LmdbOutput",
        "mds": "singleimg.outputs.mds.MdsOutput",
        "none": "singleimg.outputs.none.NoOutput",
    },
    "backend": {"joblib": "singleimg.backends.JoblibBackend"},
    "method": {
        "rotnet": "singleimg.pretrain.rotnet.RotNet",
        "deepcluster": "singleimg.pretrain.deepcluster.DeepCluster",
        "bigan": "singleimg.pretrain.bigan.BiGAN",
        "supervised": "singleimg.pretrain.supervised.Supervised",
        "untrained": "singleimg.pretrain.untrained.Untrained",
    },
    "network": {
        "alexnet_bn": "singleimg.networks.alexnet_bn.AlexNetBN",
        "cifar_conv4": "singleimg.networks.cifar_conv4.CifarConv4",
    },
    "data": {
        "cifar10": "singleimg.labelled.Cifar10",
        "cifar100": "singleimg.labelled.Cifar100",
        "imagefolder": "singleimg.labelled.Folders",
        "imagenet": "singleimg.labelled.ImageNet",
    },
    "probe": {
        "cached": "singleimg.probe.cached.Cached",
        "streamed": "singleimg.probe.streamed.Streamed",
    },
}
_ENCODER = ("encoding", "quality", "subsampling", "jpeg")  # keys that outputs had


def refuse_former(arguments: Sequence[str]) -> None:
    """Raises UserError for an argument whose key has another name now."""
    for argument in arguments:
        key, equals, value = argument.lstrip("+~").partition("=")
        if equals and key in FORMER:
            raise UserError(f"{former_key(key, value)}.")


def former_key(key: str, value: str = "…") -> str:
    """``to=b is typed in another way now: type task.to=b``."""
    return f"{key}={value} is typed in another way now: type {FORMER[key].format(value=value)}"


def update_former(cfg: DictConfig) -> None:
    """Turns a configuration that a run saved into one as it would be saved now, in place.

    What it held of keys of one run goes, dotted paths become names, and the keys by which an output
    encoded become those of an encoder.
    """
    with flag_override(cfg, ["struct", "readonly"], [False, False]):
        for key in (*FORMER, "debug"):  # of one run alone, which made a picture too
            cfg.pop(key, None)
        for group in _PATHS:
            node = cfg._get_node(group)
            if OmegaConf.is_dict(node) and isinstance(node.get("_target_"), str):
                node["_target_"] = name_of(group, node["_target_"])
        if OmegaConf.is_dict(cfg._get_node("engine")):
            for key in ("name", "libraries", "batch"):  # matters of its code now
                cfg.engine.pop(key, None)
        output = cfg._get_node("output")
        if OmegaConf.is_dict(output) and "encoding" in output:
            with flag_override(output, ["struct", "readonly"], [False, False]):
                values = {key: output._get_node(key) for key in _ENCODER if key in output}
                for key in values:
                    output.pop(key)
            encoding = str(values["encoding"]._value())
            kept = {"jpeg": ("quality", "subsampling", "jpeg"), "webp": ("quality",)}
            cfg["encode"] = {
                "_target_": encoding,
                **{
                    "library" if key == "jpeg" else key: values[key]
                    for key in kept.get(encoding, ())
                    if key in values
                },
            }


def name_of(group: str, target: str) -> str:
    """The name of what a dotted path stood for; any other target as it is."""
    return {path: name for name, path in _PATHS.get(group, {}).items()}.get(target, target)


def with_first_names(settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` of groups, whose targets are said by the paths that stood for them first."""
    return {
        group: {**node, "_target_": _PATHS.get(group, {}).get(node["_target_"], node["_target_"])}
        if isinstance(node, dict) and "_target_" in node
        else node
        for group, node in settings.items()
    }
