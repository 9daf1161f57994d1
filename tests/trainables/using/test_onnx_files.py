"""Every family's generator as an ONNX file: run without PyTorch, it makes the images that PyTorch makes."""

import importlib.util
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from spaces.errors import UserError
from spaces.networks import Translator, conditional, parse_network
from trainables.images.samples import Inputs
from trainables.methods.finetuning.minegan import MINER, MinedSampler
from trainables.methods.translation.translating import InputSampler
from trainables.methods.translation.untranslated import UntranslatedSampler
from trainables.networks.families import FAMILIES, GENERATOR, build_network
from trainables.networks.miner import Miner
from trainables.networks.models import Model
from trainables.networks.sampling import ZSampler, set_standing_statistics
from trainables.using.onnx_files import OPSET, TOLERANCE, write_onnx

SLOW = pytest.mark.slow  # the exporter takes seconds a network
SMALL = {"resolution": 32, "width": 2, "z_dim": 8}


def small(family: str, classes: int | None) -> Any:
    """A small network of the family, with classes or without; skips a family that knows none."""
    network = parse_network(SMALL | {"family": family}, "test")
    if classes is None:
        return network
    try:
        return conditional(network, classes)
    except UserError:
        pytest.skip(f"a {family} has no conditional form")


def sampler_of(network: Any) -> ZSampler:
    generator = build_network(GENERATOR, network, 3)
    set_standing_statistics(generator)
    return ZSampler(Model({GENERATOR: network}, {GENERATOR: generator.state_dict()}))


def run(path: Any, **inputs: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, inputs)[0]


@SLOW
@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_familys_file_makes_pytorchs_images_for_any_number_of_z(family, classes, tmp_path) -> None:
    sampler = sampler_of(small(family, classes))
    assert write_onnx(sampler, tmp_path / "g.onnx", {"licence": "mit"}, None) <= TOLERANCE
    model = onnx.load(tmp_path / "g.onnx")
    assert [each.version for each in model.opset_import if each.domain == ""] == [OPSET]
    assert {each.key: each.value for each in model.metadata_props}["licence"] == "mit"
    names = [each.name for each in model.graph.input]
    assert names[: 1 + bool(classes)] == (["z", "label"] if classes else ["z"])
    for n in (1, 5):
        z = torch.randn(n, 8, generator=torch.Generator().manual_seed(n))
        labels = torch.arange(n) % classes if classes else None
        given = {"z": z.numpy()} | ({"label": labels.numpy()} if classes else {})
        if "truncation" in names:
            given["truncation"] = np.array(1, np.float32)
        with torch.no_grad():
            expected = sampler.generator(z, *([labels] if classes else [])).numpy()
        assert np.abs(run(tmp_path / "g.onnx", **given) - expected).max() <= TOLERANCE


@SLOW
@pytest.mark.parametrize("count", [1, 2])
def test_mined_generators_are_in_one_file(count, tmp_path) -> None:
    network, networks, weights = small("resnet", None), {}, {}
    for place in range(count):
        end = f"-{place + 1}" if place else ""
        generator, miner = build_network(GENERATOR, network, place), Miner(8)
        set_standing_statistics(generator)
        networks |= {GENERATOR + end: network, MINER + end: network}
        weights |= {GENERATOR + end: generator.state_dict(), MINER + end: miner.state_dict()}
    assert write_onnx(MinedSampler(Model(networks, weights)), tmp_path / "g.onnx", {}, None) <= TOLERANCE


@SLOW
def test_a_translators_file_translates(tmp_path) -> None:
    network = Translator(width=2, blocks=1)
    weights = {GENERATOR: build_network(GENERATOR, network, 0).state_dict()}
    sampler = InputSampler(Model({GENERATOR: network}, weights))
    write_onnx(sampler, tmp_path / "t.onnx", {}, 32)
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = run(tmp_path / "t.onnx", inputs=(images.numpy() / np.float32(127.5) - 1).astype(np.float32))
    expected = sampler(3, 0, Inputs(images)).images.numpy()
    assert np.abs((found + 1) * 127.5 - expected).max() < 1


def test_what_has_no_network_is_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="no network that an ONNX file could hold"):
        write_onnx(UntranslatedSampler(Model({}, {})), tmp_path / "x.onnx", {}, 32)
    assert not (tmp_path / "x.onnx").exists()


def test_a_missing_package_is_named_with_how_to_install_it(tmp_path, monkeypatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with pytest.raises(UserError, match=r"^ONNX files need onnxruntime, not .*pip install 'understock\[export\]'$"):
        write_onnx(sampler_of(small("dcgan", None)), tmp_path / "x.onnx", {}, None)
