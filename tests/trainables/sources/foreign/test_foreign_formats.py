"""Every format, from files that stand-ins make, to a source model whose networks are the ones that were written."""

import argparse
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import networks_of, write_nvlabs, write_tensorflow
from safetensors.torch import save_file
from torch import Tensor

from spaces.errors import UserError
from spaces.networks import Dcgan, Mimicry, parse_network
from trainables.networks.families import build_discriminator, build_generator
from trainables.sources.foreign.recognition import recognised
from trainables.sources.foreign.rosinality import our_name
from trainables.sources.importing import Added, add_source
from trainables.sources.naming import named
from trainables.sources.shelf import open_source
from trainables.storage.home import Home

SMALL = {"resolution": 32, "width": 4, "channel_max": 8, "z_dim": 6, "w_dim": 10, "mapping_layers": 3}
ARGUMENTS: Mapping[str, Any] = {
    "z_dim": 6,
    "c_dim": 0,
    "w_dim": 10,
    "img_resolution": 32,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 3},
    "synthesis_kwargs": {"channel_base": 128, "channel_max": 8, "conv_clamp": 256},
}
OF_CRITIC: Mapping[str, Any] = {"img_resolution": 32, "epilogue_kwargs": {"mbstd_group_size": 8}}


@pytest.fixture
def add(home: Home) -> Callable[..., Added]:
    def added(*files: Path, **more: Any) -> Added:
        options = {name: more.pop(name) for name in ("class_names", "network") if name in more}
        return add_source(home, "read", list(files), options.pop("network", {}), more, **options)

    return added


def held(home: Home) -> dict[str, dict[str, Tensor]]:
    return open_source(home, "read").weights()


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], but: tuple[str, ...] = ("prior",)) -> None:
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert {k for k in found if not k.endswith(but)} == {k for k in expected if not k.endswith(but)}
    for name in expected:
        if not name.endswith((*but, *statistics)):
            assert torch.equal(found[name], expected[name].float()), name


def filtered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As NVlabs write them: each resampling layer has its filter."""
    taps = torch.tensor([1.0, 3, 3, 1])
    layers = [name.removesuffix("weight") for name in tensors if re.search(r"conv[01]\.weight$", name)]
    return {**tensors, **{f"{layer}resample_filter": torch.outer(taps, taps) / 64 for layer in layers}}


@pytest.mark.parametrize("arguments", ["nested", "flat"])
def test_a_pickle_of_nvlabs_gives_average_critic_arguments_and_domain(
    home: Home, tmp_path: Path, add: Callable[..., Added], arguments: str
) -> None:
    (average, critic), (trained, _) = networks_of(0, **SMALL), networks_of(5, **SMALL)
    told = dict(ARGUMENTS)
    if arguments == "flat":  # as the StyleGAN3 repository's
        told |= told.pop("synthesis_kwargs")
    networks = {
        "G": ("Generator", filtered(trained), told),
        "D": ("Discriminator", filtered(critic), OF_CRITIC),
        "G_ema": ("Generator", filtered(average), told),
    }
    kwargs = {"path": "/data/ffhq32.zip", "max_size": 700, "xflip": True, "use_labels": False}
    facts = add(write_nvlabs(tmp_path / "network.pkl", networks, training_set_kwargs=kwargs)).facts
    assert facts.network.model_dump() | SMALL == facts.network.model_dump()
    assert (facts.network.conv_clamp, facts.network.minibatch_group) == (256, 8)  # type: ignore[union-attr]
    assert (facts.domain, facts.images) == ("ffhq32", 700)
    assert "a StyleGAN2 of NVlabs (PyTorch)" in facts.origin
    assert_same(held(home)["generator_in_training"], trained)
    assert_same(held(home)["generator"], average)
    assert_same(held(home)["discriminator"], critic)


def test_layers_that_freezed_made_buffers_are_read_too(home: Home, tmp_path: Path, add: Callable[..., Added]) -> None:
    generator, critic = networks_of(0, **SMALL, classes=3, critic_architecture="orig", generator_architecture="resnet")
    told = {**ARGUMENTS, "c_dim": 3}
    path = write_nvlabs(tmp_path / "n.pkl", {"G_ema": ("G", generator, told), "D": ("D", critic, {})})
    facts = add(path, class_names=["a", "b", "c"]).facts
    assert facts.network.classes == 3  # type: ignore[union-attr]
    assert facts.network.critic_architecture == "orig"  # type: ignore[union-attr]
    assert_same(held(home)["generator"], generator)
    assert facts.class_names == ("a", "b", "c")


def test_arguments_that_the_tensors_belie_are_refused(home: Home, tmp_path: Path, add: Callable[..., Added]) -> None:
    generator, _ = networks_of(0, **SMALL)
    path = write_nvlabs(tmp_path / "n.pkl", {"G_ema": ("G", generator, {**ARGUMENTS, "img_resolution": 64})})
    with pytest.raises(UserError, match="its arguments say resolution=64, its tensors 32"):
        add(path)


@pytest.mark.parametrize("lost", ["synthesis.b8.conv0.affine.weight", "mapping.fc1.weight", "synthesis.b16.torgb.bias"])
def test_a_partial_fit_is_refused_with_the_tensor_that_is_missing(
    home: Home, tmp_path: Path, add: Callable[..., Added], lost: str
) -> None:
    generator, _ = networks_of(0, **SMALL)
    del generator[lost]
    save_file(generator, tmp_path / "g.safetensors")
    with pytest.raises(UserError, match=rf"{re.escape(lost)}.* is not there in the file"):
        add(tmp_path / "g.safetensors")
    assert not home.source("read").exists()


def theirs_of_rosinality(tensors: Mapping[str, Tensor], resolution: int) -> dict[str, Tensor]:
    """The inverse of the reader's names, over all that such a network has."""
    layers = ["conv1", "to_rgb1", *(f"{kind}.{i}" for kind in ("convs", "to_rgbs") for i in range(20))]
    leaves = ["conv.weight", "conv.modulation.weight", "conv.modulation.bias", "activate.bias", "noise.weight", "bias"]
    leaves += [
        "0.weight",
        "1.bias",
        "conv1.0.weight",
        "conv1.1.bias",
        "conv2.1.weight",
        "conv2.2.bias",
        "skip.1.weight",
    ]
    names = [f"{layer}.{leaf}" for layer in layers for leaf in leaves] + ["input.input"]
    names += [f"style.{i}.{leaf}" for i in range(9) for leaf in ("weight", "bias")] + [
        f"noises.noise_{i}" for i in range(20)
    ]
    names += [f"final_{part}" for part in ("conv.0.weight", "conv.1.bias")]
    names += [f"final_linear.{i}.{leaf}" for i in (0, 1) for leaf in ("weight", "bias")]
    found: dict[str, Tensor] = {}
    for name in names:
        tensor = tensors.get(our_name(name, resolution) or "")
        if tensor is None:
            continue
        if name.startswith("noises"):
            tensor = tensor[None, None]
        elif name == "input.input" or (name.endswith(".conv.weight")):
            tensor = tensor[None]
        elif name.endswith("noise.weight"):
            tensor = tensor.reshape(1)
        elif re.fullmatch(r"to_rgb(1|s\.\d+)\.bias", name):
            tensor = tensor.reshape(1, 3, 1, 1)
        found[name] = tensor
    assert len(found) == len([name for name in tensors if not name.endswith("w_avg")])
    return found


@pytest.mark.parametrize("new", [True, False])
def test_rosinalitys_names_and_back(home: Home, tmp_path: Path, add: Callable[..., Added], new: bool) -> None:
    config = {**SMALL, "z_dim": 10, "channel_max": 64, "width": 16}
    (average, critic), (trained, _) = networks_of(0, **config), networks_of(5, **config)
    kernels = {"convs.0.conv.blur.kernel": torch.zeros(4, 4), "to_rgbs.0.upsample.kernel": torch.zeros(4, 4)}
    content = {
        "g": theirs_of_rosinality(trained, 32),
        "d": theirs_of_rosinality(critic, 32) | {"convs.1.conv2.0.kernel": torch.zeros(4, 4)},
        "g_ema": theirs_of_rosinality(average, 32) | kernels,
        "g_optim": {"state": {0: {"step": 1, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.002}]},
        "args": argparse.Namespace(path="faces.lmdb", size=32),
        "latent_avg": average["mapping.w_avg"],
        "ada_aug_p": 0.0,
    }
    torch.save(content, tmp_path / "550000.pt", _use_new_zipfile_serialization=new)
    added = add(tmp_path / "550000.pt")
    assert "of rosinality" in added.facts.origin
    assert added.facts.domain == "faces"
    assert_same(held(home)["generator"], average)
    assert_same(held(home)["discriminator"], critic)


def test_without_a_mean_of_w_that_of_10_000_z_is_taken_and_said(
    home: Home, tmp_path: Path, add: Callable[..., Added]
) -> None:
    generator, _ = networks_of(0, **{**SMALL, "z_dim": 10})
    torch.save({"g_ema": theirs_of_rosinality(generator, 32)}, tmp_path / "g.pt")
    added = add(tmp_path / "g.pt")
    assert any("10,000 z" in note for note in added.notes)
    assert any("no critic" in note for note in added.notes)
    network = open_source(home, "read").model().network("generator")
    z = torch.randn(4000, 10, generator=torch.Generator().manual_seed(3))
    mean = network.get_submodule("mapping")(z, None).mean(0)
    assert torch.allclose(held(home)["generator"]["mapping.w_avg"], mean, atol=0.1)


def theirs_of_tensorflow(tensors: Mapping[str, Tensor], *, generator: bool) -> dict[str, np.ndarray]:
    """A network's variables as TensorFlow has them, by the rules of the text."""
    found = {}
    leaves = {"affine.weight": "mod_weight", "affine.bias": "mod_bias"}
    layers = {"conv0": "Conv0_up" if generator else "Conv0", "conv1": "Conv1" if generator else "Conv1_down"}
    layers |= {"torgb": "ToRGB", "fromrgb": "FromRGB", "skip": "Skip"}
    for name, tensor in tensors.items():
        own = name.removeprefix("synthesis.")
        if own == "mapping.w_avg":
            found["dlatent_avg"] = tensor.numpy()
        elif match := re.match(r"mapping\.fc(\d+)\.(\w+)", own):
            found[f"mapping/Dense{match[1]}/{match[2]}"] = (tensor.T if match[2] == "weight" else tensor).numpy()
        elif own == "b4.const":
            found["synthesis/4x4/Const/const"] = tensor[None].numpy()
        elif match := re.match(r"b(\d+)\.(\w+)\.(.*)", own):
            side, layer, leaf = int(match[1]), match[2], leaves.get(match[3], match[3])
            if leaf == "noise_const":
                number = 0 if side == 4 else 2 * int(np.log2(side)) - (5 if layer == "conv0" else 4)
                found[f"synthesis/noise{number}"] = tensor[None, None].numpy()
                continue
            place = (
                f"{side}x{side}/{layers[layer]}"
                if layer in layers
                else {"conv": "4x4/Conv", "fc": "4x4/Dense0", "out": "Output"}[layer]
            )
            place = "4x4/Conv" if generator and side == 4 and layer == "conv1" else place
            if leaf == "weight" and tensor.ndim == 4:
                tensor = tensor.permute(2, 3, 1, 0)
                tensor = tensor.flip(0, 1) if generator and layer in ("conv0", "skip") else tensor
            elif leaf in ("weight", "mod_weight"):
                tensor = tensor.T
            elif leaf == "mod_bias":
                tensor = tensor - 1
            found[("synthesis/" if generator else "") + f"{place}/{leaf}"] = tensor.numpy()
    return found


@pytest.mark.parametrize("architecture", ["skip", "resnet"])
def test_a_tensorflow_pickle_is_the_same_networks(
    home: Home, tmp_path: Path, add: Callable[..., Added], architecture: str
) -> None:
    config = {**SMALL, "generator_architecture": architecture}
    (average, critic), (trained, _) = networks_of(0, **config), networks_of(5, **config)
    arguments = {"latent_size": 6, "resolution": 32, "num_channels": 3, "mapping_lrmul": 0.01, "conv_clamp": 256}
    networks = [
        (arguments, theirs_of_tensorflow(trained, generator=True) | {"lod": np.float32(0)[None]}),
        ({"mbstd_group_size": 4}, theirs_of_tensorflow(critic, generator=False)),
        (arguments, theirs_of_tensorflow(average, generator=True)),
    ]
    facts = add(write_tensorflow(tmp_path / "network.pkl", networks)).facts
    assert facts.network.model_dump() | config == facts.network.model_dump()
    assert facts.network.conv_clamp == 256  # type: ignore[union-attr]
    for name, expected in (("generator", average), ("discriminator", critic)):
        for key, tensor in held(home)[name].items():
            torch.testing.assert_close(tensor, expected[key], rtol=0, atol=1e-6)


@pytest.mark.parametrize("resolution", [32, 48, 64, 128])
@pytest.mark.parametrize("critic", ["wgan_gp", "sngan"])
def test_mimicrys_two_files(
    home: Home, tmp_path: Path, add: Callable[..., Added], resolution: int, critic: Any
) -> None:
    config = Mimicry(resolution=resolution, width=2, z_dim=8, critic=critic)  # type: ignore[arg-type]
    generator, discriminator = build_generator(config, 1).state_dict(), build_discriminator(config, 1).state_dict()
    hook = {"parametrizations.weight.original": "weight_orig", "parametrizations.weight.0._u": "weight_u"}
    hook |= {"parametrizations.weight.0._v": "weight_v"}
    theirs = {}
    for name, tensor in discriminator.items():
        for ours, name_there in hook.items():
            name = name.replace(ours, name_there)
        if (resolution, critic) == (48, "sngan"):  # whose last layer has another number there
            name = name.replace("l6.", "l5.")
        theirs[name] = tensor
    for name, tensors in (("netG", generator), ("netD", theirs)):
        about = {
            "model_state_dict": OrderedDict(tensors),
            "optimizer_state_dict": {"state": {}},
            "global_step": 100_000,
        }
        torch.save(about, tmp_path / f"{name}_100000_steps.pth")
    files = [tmp_path / f"{name}_100000_steps.pth" for name in ("netG", "netD")]
    if resolution == 32:
        assert add(*files).facts.network == config
        found = held(home)
    else:  # without the statistics of batch norm, which take seconds
        read = recognised(named(files, {}), "test")
        assert read is not None
        assert parse_network(read.config, "test") == config
        found = read.weights
    assert_same(found["generator"], generator)
    assert_same(found["discriminator"], discriminator)


def of_dcgan(**config: Any) -> dict[str, Tensor]:
    return dict(build_generator(Dcgan(resolution=32, width=2, **config), 1).state_dict())


def test_a_dcgans_generator_alone_with_a_dropout_between_its_layers(
    home: Home, tmp_path: Path, add: Callable[..., Added]
) -> None:
    ours = of_dcgan(z_dim=7)
    moved = {
        re.sub(r"main\.(\d+)", lambda m: f"main.{int(m[1]) + (int(m[1]) > 1)}", name): t for name, t in ours.items()
    }
    torch.save({"netG_state_dict": moved, "epoch": 3}, tmp_path / "weights.tar")
    added = add(tmp_path / "weights.tar", licence="MIT", domain="faces", images=5)
    assert added.facts.network == Dcgan(resolution=32, width=2, z_dim=7)
    assert list(added.facts.networks) == ["generator"]
    assert any("the generator alone" in note for note in added.notes)
    assert_same(held(home)["generator"], ours)
    assert added.facts.provenance.startswith("licence MIT; a DCGAN of PyTorch's tutorial, added from ")


def test_a_dcgans_inputs_beyond_z_are_a_class(home: Home, tmp_path: Path, add: Callable[..., Added]) -> None:
    ours = of_dcgan(z_dim=7, classes=3)
    del ours["prior"]
    torch.save(ours, tmp_path / "g.pth", _use_new_zipfile_serialization=False)
    facts = add(tmp_path / "g.pth", network={"z_dim": 7}, class_names=["blue", "red", "green"]).facts
    assert facts.network == Dcgan(resolution=32, width=2, z_dim=7, classes=3)
    generator = open_source(home, "read").model().network("generator")
    z = torch.randn(1, 7)
    blue, red = (generator(z, torch.tensor([label])) for label in (0, 1))
    assert not torch.equal(blue, red)
    with pytest.raises(UserError, match="2 names of classes, for 3"):
        add_source(home, "other", [tmp_path / "g.pth"], {"z_dim": 7}, {}, class_names=["a", "b"])


def test_a_hubs_folder_of_weights_and_its_config(home: Home, tmp_path: Path, add: Callable[..., Added]) -> None:
    generator, _ = networks_of(0, **SMALL)
    folder = tmp_path / "hub"
    folder.mkdir()
    save_file(generator, folder / "model.safetensors")
    (folder / "config.json").write_text('{"resolution": 32}')
    assert add(folder).facts.network.resolution == 32
    assert_same(held(home)["generator"], generator)


@pytest.mark.parametrize("family", ["resnet", "stylegan2"])
def test_our_own_exports_come_back(home: Home, tmp_path: Path, new_source: Any, family: str) -> None:
    from trainables.sources.shelf import export_source

    more = {} if family == "resnet" else {"w_dim": 6}
    source = new_source("one", family=family, width=2, z_dim=8, **more)
    export_source(source, tmp_path / "out")
    facts = add_source(home, "again", [tmp_path / "out"], {}, {"licence": "CC0"}).facts
    assert facts.digest == source.facts.digest
    assert (facts.domain, facts.images, facts.licence) == ("lines", 100, "CC0")


KNOWN = {
    "a StyleGAN3": {"G_ema.synthesis.input.freqs": (4, 2), "G_ema.synthesis.L0_36_8.weight": (8, 8, 3, 3)},
    "a StyleGAN of 2019": {"g_running.generator.progression.0.conv1.conv.weight_orig": (8, 8, 3, 3)},
    "lucidrains' stylegan2-pytorch": {"GAN.GE.blocks.0.conv1.weight": (8, 8, 3, 3), "GAN.SE.net.0.weight": (4, 4)},
    "a BigGAN": {"shared.weight": (10, 8), "blocks.0.0.bn1.gain.weight": (8, 8)},
    "StudioGAN": {"state_dict.linear0.weight": (8, 8), "state_dict.blocks.0.0.conv2d1.weight": (8, 8, 3, 3)},
    "an R3GAN": {"G_ema.Model.MainLayers.0.Layers.0.Linear.weight": (8, 8)},
    "a ProjectedGAN": {"G_ema.synthesis.init.init.0.weight_orig": (8, 8, 4, 4)},
}


@pytest.mark.parametrize("what", KNOWN)
def test_what_is_known_and_not_read_is_named_in_a_line_with_a_way_out(
    home: Home, tmp_path: Path, add: Callable[..., Added], what: str
) -> None:
    torch.save({name: torch.zeros(shape) for name, shape in KNOWN[what].items()}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=what) as refused:
        add(tmp_path / "x.pth")
    assert "understock domains add" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_of_no_known_format_the_classes_are_named_that_stood_in_the_way(
    home: Home, tmp_path: Path, add: Callable[..., Added]
) -> None:
    torch.save({"net": torch.nn.Linear(2, 2)}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="of no generator known here"):
        add(tmp_path / "x.pt")
