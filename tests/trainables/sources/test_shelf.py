import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from spaces.errors import UserError
from spaces.networks import Resnet
from trainables.networks.families import build_discriminator, build_generator
from trainables.networks.models import Model
from trainables.sources.shelf import (
    SourceError,
    SourceModel,
    check_fits,
    check_new,
    export_source,
    open_source,
    remove_source,
    shelf,
)
from trainables.storage.home import Home


def test_a_source_model_survives_the_shelf_bit_for_bit(home: Home, tiny_source: SourceModel) -> None:
    expected = build_discriminator(tiny_source.facts.network, seed=7).state_dict()
    found = open_source(home, "seed-7").weights()["discriminator"]
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_an_unknown_source_lists_the_known(home: Home, tiny_source: SourceModel) -> None:
    with pytest.raises(SourceError, match=r"unknown source model 'nope' in .*; known: .*seed-7"):
        open_source(home, "nope")


def test_tampered_weights_are_refused(tiny_source: SourceModel) -> None:
    path = tiny_source.path / "generator.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="changed or damaged"):
        tiny_source.weights()


def test_damaged_facts_are_refused(home: Home, tiny_source: SourceModel) -> None:
    (tiny_source.path / "source.json").write_text("{")
    with pytest.raises(SourceError, match=r"source\.json can't be read"):
        open_source(home, "seed-7")


def test_a_shape_that_differs_is_named_with_both_shapes() -> None:
    one, other = Resnet(resolution=32, width=2), Resnet(resolution=32, width=4)
    weights = {
        "generator": build_generator(one, seed=0).state_dict(),
        "discriminator": build_discriminator(one, seed=0).state_dict(),
    }
    check_fits(Model(dict.fromkeys(weights, one), weights), "here")
    with pytest.raises(
        SourceError, match=r"here: generator\.\S+ is \(.*\) in the file, \(.*\) in a resnet of 32 pixels"
    ):
        check_fits(Model(dict.fromkeys(weights, other), weights), "here")


def test_scratch_and_taken_names_are_refused(home: Home, tiny_source: SourceModel) -> None:
    with pytest.raises(SourceError, match="random weights"):
        check_new(home, "scratch", replace=False)
    with pytest.raises(SourceError, match="--replace"):
        check_new(home, "seed-7", replace=False)
    check_new(home, "seed-7", replace=True)


def test_export_copies_the_weights(home: Home, tiny_source: SourceModel, tmp_path: Path) -> None:
    export_source(tiny_source, tmp_path / "out")
    name = "generator.safetensors"
    one, other = load_file(tmp_path / "out" / name), load_file(tiny_source.path / name)
    assert all(torch.equal(one[key], other[key]) for key in other)
    with pytest.raises(UserError, match="there already"):
        export_source(tiny_source, tmp_path / "out")


def test_remove_takes_it_off_the_shelf_and_spares_builtin_ones(home: Home, tiny_source: SourceModel) -> None:
    remove_source(home, "seed-7")
    assert "seed-7" not in shelf(home)
    with pytest.raises(SourceError, match="is not in"):
        remove_source(home, "seed-7")
    for name in shelf(home):
        with pytest.raises(SourceError, match="comes with the package"):
            remove_source(home, name)


def test_a_source_of_the_home_hides_a_builtin_one(home: Home, tiny_source: SourceModel) -> None:
    for name in shelf(home):
        shutil.copytree(tiny_source.path, home.source("copy"), dirs_exist_ok=True)
        assert shelf(home)[name].name == name


def test_every_builtin_source_opens_and_its_digest_holds(home: Home) -> None:
    names = list(shelf(home))
    assert {"mdi", "twemoji", "mnist"} <= set(names)
    size = 0
    for name in names:
        source = open_source(home, name)
        check_fits(source.model(), name)
        size += sum(path.stat().st_size for path in source.path.iterdir())
    assert size <= 10_000_000
