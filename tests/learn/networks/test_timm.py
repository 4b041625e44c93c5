"""Models of timm as trunks: the same maps and features as timm gives, and what is refused."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import timm
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from singleimg.config.location import CONF
from singleimg.errors import UserError
from singleimg.learn.networks.base import check_network
from singleimg.learn.networks.timm import CIFAR_STEM, Timm

VIT = {"model": "vit_tiny_patch16_224", "size": 32,
       "settings": {"img_size": 32, "patch_size": 4, "depth": 6}}  # fmt: skip
SMALL: dict[str, Any] = {"model": "test_resnet", "size": 64}  # 370,000 weights


def normal(images: Tensor) -> Tensor:
    """Images of 0 … 1 by ImageNet's mean and deviation."""
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)


def refused(**settings: Any) -> str:
    with pytest.raises(UserError) as mistake:
        Timm(**settings).trunk()
    return str(mistake.value)


# --- maps and features ---------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "indices"), [
    (SMALL, [0, 1, 2, 3, 4]), ({"model": "test_convnext", "size": 64}, [0, 1, 2, 3]),
    (VIT, [0, 1, 3, 4, 5]), ({**VIT, "out_indices": [1, 5]}, [1, 5]),
])  # fmt: skip
def test_layers_are_the_feature_maps_of_timm(settings: dict[str, Any], indices: list[int]) -> None:
    trunk = Timm(**settings).trunk().eval()
    more = settings.get("settings", {})
    theirs = timm.create_model(
        settings["model"], features_only=True, out_indices=indices, **more
    ).eval()
    own = trunk.model.state_dict()
    names = {name.removeprefix("model.") for name in theirs.state_dict()}
    same = {name.replace("stages_", "stages.").replace("stem_", "stem."): name for name in names}
    theirs_own = theirs.state_dict()
    before = "model." if next(iter(theirs_own)).startswith("model.") else ""
    theirs.load_state_dict({before + name: own[ours] for ours, name in same.items()})
    images = torch.rand(2, 3, settings["size"], settings["size"])
    maps = trunk.layers(images)
    assert trunk.depth == len(maps) == len(indices)
    for values, expected in zip(maps, theirs(normal(images)), strict=True):
        assert torch.allclose(values, expected, atol=1e-5) and values.ndim == 4


@pytest.mark.parametrize("settings", [SMALL, VIT])
def test_features_are_what_the_model_gives_without_classes(settings: dict[str, Any]) -> None:
    trunk = Timm(**settings).trunk().eval()
    model = timm.create_model(settings["model"], num_classes=0, **settings.get("settings", {}))
    model.load_state_dict(trunk.model.state_dict(), strict=True)
    images = torch.rand(2, 3, settings["size"], settings["size"])
    assert torch.equal(trunk(images), model.eval()(normal(images)))
    assert trunk.features(settings["size"]) == trunk(images).shape[1] == model.num_features


def test_a_small_transformer_has_square_maps_of_its_patches() -> None:
    trunk = Timm(**VIT).trunk()
    assert trunk.shapes(32) == [(192, 8)] * 5 and trunk.training
    assert repr(trunk).startswith("TimmTrunk(5 stages, ")


def test_images_are_seen_in_other_sizes_too_where_the_model_sees_them() -> None:
    trunk = Timm(**SMALL).trunk().eval()
    assert trunk.shapes(96)[-1] == (trunk.shapes(64)[-1][0], 3)


# --- the stem for images of 32 px ----------------------------------------------------------------


def test_the_cifar_stem_keeps_the_side_of_the_image_through_the_first_stages() -> None:
    network = Timm(stem="cifar", size=32)
    trunk = network.trunk()
    assert [side for _, side in trunk.shapes(32)] == [32, 32, 16, 8, 4]
    assert [side for _, side in Timm(size=32).trunk().shapes(32)] == [16, 8, 4, 2, 1]
    first = trunk.model.conv1
    assert (first.kernel_size, first.stride, first.padding, first.bias) == ((3, 3), (1, 1), (1, 1),
                                                                           None)  # fmt: skip
    assert isinstance(trunk.model.maxpool, nn.Identity)
    assert float(first.weight.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)


def test_the_lines_that_an_export_says_make_the_same_model() -> None:
    network = Timm(stem="cifar", size=32)
    trunk, about = network.trunk().eval(), network.about()
    assert about["stem"] == CIFAR_STEM and CIFAR_STEM.count("\n") == 3
    model = timm.create_model(**json.loads(about["timm"]))
    exec(about["stem"], {"model": model})
    model.load_state_dict(trunk.model.state_dict(), strict=True)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(model.eval()(normal(images)), trunk(images))
    assert "stem" not in Timm(**SMALL).about()
    assert json.loads(Timm(**VIT).about()["timm"]) == {
        "model_name": VIT["model"], "num_classes": 0, **VIT["settings"],
    }  # fmt: skip


# --- frozen stages -------------------------------------------------------------------------------


def test_first_stages_are_what_their_maps_are_computed_from() -> None:
    def names(trunk: Any, depth: int) -> set[str]:
        own = {id(weight) for weight in trunk.weights_of(depth)}
        return {name.split(".")[1] for name, one in trunk.named_parameters() if id(one) in own}

    resnet = Timm(stem="cifar", size=32).trunk()
    assert names(resnet, 1) == {"conv1", "bn1"}
    assert names(resnet, 3) == {"conv1", "bn1", "layer1", "layer2"}
    before = {"cls_token", "pos_embed", "patch_embed", "blocks"}
    vit = Timm(**VIT).trunk()
    assert names(vit, 2) == before
    of_two = {id(weight) for weight in vit.weights_of(2)}
    blocks = [all(id(one) in of_two for one in block.parameters()) for block in vit.model.blocks]
    assert blocks == [True, True, False, False, False, False]


def test_frozen_stages_keep_weights_and_statistics_while_the_others_learn() -> None:
    torch.manual_seed(0)
    trunk = Timm(**SMALL).trunk()
    trunk.freeze(2)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    optimizer = torch.optim.SGD(trunk.parameters(), 0.1, weight_decay=0.1)
    trunk.train()
    trunk(torch.rand(4, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    moved = {name.split(".")[1] for name, value in trunk.state_dict().items()
             if not torch.equal(before[name], value)}  # fmt: skip
    assert moved == {"layer2", "layer3", "layer4"}


# --- pretrained weights --------------------------------------------------------------------------


def test_weights_are_fetched_only_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[bool] = []
    create = timm.create_model

    def fetch(name: str, pretrained: bool = False, **settings: Any) -> nn.Module:
        made.append(pretrained)
        torch.manual_seed(7)
        return create(name, **settings)

    monkeypatch.setattr(timm, "create_model", fetch)
    plain, asked = Timm(**SMALL), Timm(**SMALL, pretrained=True)
    plain.load_pretrained(plain.trunk())
    trunk = asked.trunk()
    assert made == [False, False]
    nn.init.zeros_(trunk.model.layer1[0].conv1.weight)
    asked.load_pretrained(trunk)
    assert made == [False, False, True]
    assert trunk.model.layer1[0].conv1.weight.abs().sum() > 0
    # test_resnet's weights were trained on images of -1 … 1.
    assert trunk.mean.flatten().tolist() == [0.5] * 3 == trunk.deviation.flatten().tolist()


def test_weights_that_cannot_be_fetched_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    network = Timm(**SMALL, pretrained=True, settings={})
    trunk = network.trunk()
    with pytest.raises(UserError) as mistake:
        network.load_pretrained(trunk)
    assert str(mistake.value).startswith(
        "network.pretrained=true fetches the weights of network.model=test_resnet, which are not "
        "available ("
    )
    assert str(mistake.value).endswith("): leave it out, or use a machine that reaches them.")


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"model": "resnet19"}, f"network.model=resnet19 is not a model of timm {timm.__version__} "
     "(did you mean resnet18?): type one that timm.list_models() gives."),
    ({"stem": "small"}, "network.stem=small is not cifar: type network.stem=cifar, or leave it "
     "out."),
    ({"model": "test_vit", "stem": "cifar", "size": 160}, "network.stem=cifar replaces a "
     "convolution that network.model=test_vit has not (conv1): type a ResNet such as "
     "network.model=resnet18, or leave it out."),
    ({"stem": "cifar", "pretrained": True}, "network.pretrained=true has no weights for "
     "network.stem=cifar: leave one of them out."),
    ({"settings": {"num_classes": 3}}, "network.settings holds num_classes, which is not one of "
     "the model's own: leave it out."),
    ({"settings": {"pretrained": True}}, "network.settings holds pretrained, which is not one of "
     "the model's own: leave it out, or type network.pretrained."),
    ({**SMALL, "settings": {"depth": 3}}, "network.model=test_resnet cannot be made with "
     "network.settings={'depth': 3} (TypeError: ResNet.__init__() got an unexpected keyword "
     "argument 'depth'): change them."),
    ({**SMALL, "out_indices": [3, 1]}, "network.out_indices=[3, 1] is not a rising list of numbers "
     "from 0 to 4, the feature maps of test_resnet: type for example "
     "'network.out_indices=[0,4]'."),
    ({**SMALL, "out_indices": [5]}, "network.out_indices=[5] is not a rising list of numbers from "
     "0 to 4, the feature maps of test_resnet: type for example 'network.out_indices=[0,4]'."),
    ({"model": "vit_tiny_patch16_224", "size": 32}, "network.model=vit_tiny_patch16_224 takes no "
     "images of network.size=32 (AssertionError: Input height (32) doesn't match model (224)): "
     "type a size that it takes, or for a transformer 'network.settings={img_size: 32, patch_size: "
     "4}'."),
])  # fmt: skip
def test_what_timm_cannot_make_is_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    assert refused(**settings) == sentence


@pytest.mark.parametrize("wanted", [{"norm": False}, {"slope": 0.2}])
def test_a_method_that_wants_another_norm_or_slope_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(UserError) as mistake:
        Timm(**SMALL).trunk(**wanted)
    assert str(mistake.value) == (
        "network=timm has the normalisation and the activations of its model, and this method "
        "needs others (method=bigan does, and method.norm or method.slope of method=untrained): "
        "type network=cifar_conv4, or another method."
    )


def test_without_timm_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert refused().startswith(
        "network=timm needs the module timm, which is not installed: type pip install "
    )


@pytest.mark.parametrize("name", ["timm_cifar", "timm_vit"])
def test_the_files_in_conf_make_what_they_say(name: str) -> None:
    base, own = (OmegaConf.load(CONF / "network" / f"{one}.yaml") for one in ("timm", name))
    settings = OmegaConf.to_container(OmegaConf.merge(base, own))
    del settings["_target_"], settings["defaults"]
    network = Timm(**settings)
    check_network(network)
    assert network.trunk().shapes(32)[0][1] == {"timm_cifar": 32, "timm_vit": 8}[name]
