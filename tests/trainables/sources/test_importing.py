import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from spaces.errors import UserError
from spaces.networks import Resnet, parse_network
from trainables.networks.families import FAMILIES, build_discriminator, build_generator
from trainables.networks.sampling import sample, set_standing_statistics
from trainables.sources.importing import add_source
from trainables.sources.shelf import SourceError, open_source
from trainables.storage.home import Home

NETWORK = Resnet(resolution=32, width=2, z_dim=8)
ABOUT = {"domain": "faces", "images": 100, "classes": 4}


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """One file with both networks in our names, without batch norm's running statistics."""
    tensors = {}
    for part, module in (
        ("generator", build_generator(NETWORK, seed=1)),
        ("discriminator", build_discriminator(NETWORK, seed=1)),
    ):
        tensors |= {f"{part}.{name}": t for name, t in module.named_parameters()}
    save_file(tensors, tmp_path / "both.safetensors")
    return tmp_path / "both.safetensors"


def test_running_statistics_are_computed_where_the_file_has_none(home: Home, both: Path) -> None:
    facts = add_source(home, "faces", [both], {}, ABOUT).facts
    expected, found = build_generator(NETWORK, seed=1), build_generator(NETWORK, seed=2)
    set_standing_statistics(expected)
    found.load_state_dict(open_source(home, "faces").weights()["generator"])
    assert torch.equal(sample(found, 4, seed=0), sample(expected, 4, seed=0))
    assert facts.images_per_class == 25


def test_a_key_map_renames_and_drops(home: Home, both: Path, tmp_path: Path) -> None:
    theirs = {name.replace("generator.", "G/"): t for name, t in load_file(both).items()} | {"step": torch.zeros(1)}
    save_file(theirs, tmp_path / "theirs.safetensors")
    mapping = {name: name.replace("G/", "generator.") for name in theirs if name.startswith("G/")} | {"step": None}
    (tmp_path / "map.json").write_text(json.dumps(mapping))
    with pytest.raises(SourceError, match="belongs to neither generator nor discriminator"):
        add_source(home, "faces", [tmp_path / "theirs.safetensors"], {}, ABOUT)
    add_source(home, "faces", [tmp_path / "theirs.safetensors"], {}, ABOUT, key_map=tmp_path / "map.json")
    assert open_source(home, "faces").facts.domain == "faces"


def test_weights_of_another_network_are_refused_and_nothing_is_left(home: Home, both: Path) -> None:
    with pytest.raises(SourceError, match=r"is \(.*\) in the file, \(.*\) in a resnet of 32 pixels, width 4"):
        add_source(home, "faces", [both], {"width": 4}, ABOUT)
    assert not home.source("faces").exists()


def test_a_key_map_that_is_no_json_object_is_refused(home: Home, both: Path, tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text("[1]")
    with pytest.raises(SourceError, match="not a JSON object"):
        add_source(home, "faces", [both], {}, ABOUT, key_map=tmp_path / "map.json")


@pytest.mark.parametrize("fact", ["images", "classes"])
def test_a_domain_of_nothing_is_refused(home: Home, both: Path, fact: str) -> None:
    with pytest.raises(UserError, match=f"source model 'faces': {fact}: Input should be greater than 0, got 0"):
        add_source(home, "faces", [both], {}, ABOUT | {fact: 0})
    assert not home.source("faces").exists()


@pytest.mark.parametrize("resolution", [32, 64])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.slow
def test_family_and_config_are_read_off_the_tensors(home: Home, tmp_path: Path, family: str, resolution: int) -> None:
    network = parse_network({"family": family, "resolution": resolution, "width": 2, "z_dim": 5}, "test")
    save_file(build_generator(network, seed=1).state_dict(), tmp_path / "generator.safetensors")
    assert add_source(home, "read", [tmp_path / "generator.safetensors"], {}, ABOUT).facts.network == network


def test_what_is_given_goes_before_what_is_read_off_and_the_refusal_says_both(home: Home, both: Path) -> None:
    with pytest.raises(SourceError) as refused:
        add_source(home, "faces", [both], {"family": "dcgan", "resolution": 64}, ABOUT)
    assert "by its tensors a resnet of resolution 32, width 2, z_dim 8" in str(refused.value)
    assert "in a dcgan of 64 pixels" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_tensors_of_no_family_are_refused_with_the_known_ones(home: Home, tmp_path: Path) -> None:
    save_file({"style.weight": torch.zeros(2, 2)}, tmp_path / "strange.safetensors")
    with pytest.raises(
        SourceError,
        match=r"of no generator known here, a resnet or a dcgan or a mimicry or a stylegan2; give a --key-map",
    ):
        add_source(home, "faces", [tmp_path / "strange.safetensors"], {}, ABOUT)


def wrapped(tmp_path: Path) -> list[Path]:
    """Both networks in a file each, as torch.compile and DistributedDataParallel leave their names."""
    files = [tmp_path / "g.safetensors", tmp_path / "d.safetensors"]
    generator, critic = build_generator(NETWORK, seed=1), build_discriminator(NETWORK, seed=1)
    save_file({f"_orig_mod.{name}": t for name, t in generator.state_dict().items()}, files[0])
    save_file({f"module._orig_mod.{name}": t for name, t in critic.state_dict().items()}, files[1])
    return files


def test_what_wrappers_put_before_names_comes_off_without_a_map(home: Home, tmp_path: Path, both: Path) -> None:
    facts = add_source(home, "faces", wrapped(tmp_path), {}, ABOUT).facts
    assert list(facts.networks) == ["generator", "discriminator"]
    one = {f"module.{name}": t for name, t in load_file(both).items()}
    save_file(one, tmp_path / "one.safetensors")
    assert add_source(home, "one", [tmp_path / "one.safetensors"], {}, ABOUT).facts.networks == facts.networks


def test_a_key_map_takes_names_as_they_stand_in_the_files_or_with_their_network(home: Home, tmp_path: Path) -> None:
    files = wrapped(tmp_path)
    names = [name for path in files for name in load_file(path)]
    (tmp_path / "map.json").write_text(json.dumps({name: name.rpartition("_orig_mod.")[2] for name in names}))
    plain = add_source(home, "plain", files, {}, ABOUT, key_map=tmp_path / "map.json").facts
    (tmp_path / "map.json").write_text(
        json.dumps(
            {"generator._orig_mod.to_rgb.bias": "to_rgb.bias", "module._orig_mod.to_logit.bias": "to_logit.bias"}
        )
    )
    with_part = add_source(home, "with-part", files, {}, ABOUT, key_map=tmp_path / "map.json").facts
    assert plain.digest == with_part.digest == add_source(home, "none", files, {}, ABOUT).facts.digest


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (
            '{"nosuch.weight": "to_rgb.weight"}',
            "key map: 'nosuch.weight' is no tensor of .*which begins with 'discriminator",
        ),
        ('{"a": null, "b": null}', r"key map: 'a' \(and 1 more\) is no tensor"),
        (
            '{"generator.to_rgb.bias": "generator.norm.bias"}',
            "would both be tensor 'generator.norm.bias'",
        ),
        ('{"generator.to_rgb.bias": null, "generator.to_rgb.bias": null}', "'generator.to_rgb.bias' stands twice"),
        ("[" * 10**6, "nested more than 100 deep"),
    ],
    ids=["unused", "two unused", "colliding", "twice", "too deep"],
)
def test_a_key_map_that_would_not_do_what_it_says_is_refused(
    home: Home, both: Path, tmp_path: Path, mapping: str, said: str
) -> None:
    (tmp_path / "map.json").write_text(mapping)
    with pytest.raises(SourceError, match=said) as refused:
        add_source(home, "faces", [both], {}, ABOUT, key_map=tmp_path / "map.json")
    assert "\n" not in str(refused.value)
    assert not home.source("faces").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("name", ["generator.to_rgb.bias", "discriminator.to_logit.weight"])
def test_weights_that_are_not_finite_are_refused_with_their_tensor(
    home: Home, both: Path, value: float, name: str
) -> None:
    tensors = load_file(both)
    tensors[name] = tensors[name].double()
    tensors[name].view(-1)[0] = value
    save_file(tensors, both)
    with pytest.raises(SourceError, match=f"{name} has 1 of .* values that are NaN or infinite"):
        add_source(home, "faces", [both], {}, ABOUT)
    assert not home.source("faces").exists()


def test_of_several_that_add_one_name_at_once_one_does_and_the_others_say_so(home: Home, both: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        added = [
            pool.submit(add_source, home, "faces", [both], {}, ABOUT | {"images": 100 + number}) for number in range(4)
        ]
    ended = [future.exception() for future in added]
    (winner,) = (future.result() for future, error in zip(added, ended, strict=True) if error is None)
    assert open_source(home, "faces").facts == winner.facts
    assert all("faces" in str(error) and isinstance(error, UserError) for error in ended if error), ended
    open_source(home, "faces").weights()
