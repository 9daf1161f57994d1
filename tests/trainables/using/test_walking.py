import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spaces.errors import UserError
from spaces.networks import parse_network
from trainables.images.samples import check_form, write_samples
from trainables.methods.registry import open_sampler
from trainables.networks.families import FAMILIES, GENERATOR, build_generator
from trainables.networks.models import Model, write_model
from trainables.networks.sampling import ZSampler, set_standing_statistics
from trainables.networks.truncation import pulls_w
from trainables.using.drawing import draw
from trainables.using.walking import slerp, walk, way_through


def a_model(folder: Path, family: str = "resnet", **fields: int) -> Path:
    network = parse_network({"family": family, "resolution": 32, "width": 2, "z_dim": 8, **fields}, "test")
    generator = build_generator(network, 3)
    set_standing_statistics(generator)
    model = Model({GENERATOR: network}, {GENERATOR: generator.state_dict()})
    write_model(folder / "model", model, method="finetune", config={})
    return folder / "model"


def test_slerp_turns_and_stretches_evenly() -> None:
    one, other = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    way = slerp(one, other, torch.tensor([0.0, 1 / 3, 1.0]))
    expected = torch.tensor([[2.0, 0.0], [3**0.5 / 2 * 8 / 3, 4 / 3], [0.0, 4.0]])
    torch.testing.assert_close(way, expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_slerp_along_a_line_stays_finite(sign: int) -> None:
    one = torch.tensor([1.0, 2.0])
    torch.testing.assert_close(slerp(one, sign * one, torch.tensor([0.5])), (one + sign * one)[None] / 2)


def test_a_way_keeps_the_length_of_normal_z_and_closes() -> None:
    z = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    way = way_through(z, 4)
    torch.testing.assert_close(way[::4], z)
    assert (way.norm(dim=1) - 512**0.5).abs().max() < 2  # a straight line's would be 6 shorter in the middle
    steps = [float((other - one).norm()) for one, other in pairwise([*way, way[0]])]
    assert max(steps) < 1.2 * min(steps)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_walk_leads_by_the_samples_of_its_seed(family: str, tmp_path: Path) -> None:
    path = a_model(tmp_path, family)
    found = walk(path, 3, 4, seed=5).images
    assert found.shape == (12, 3, 32, 32)
    difference = found[::4].int() - open_sampler(path)(3, seed=5).images.int()
    assert difference.abs().max() <= 1  # batches of another size


def test_a_walk_is_of_one_class(tmp_path: Path) -> None:
    path = a_model(tmp_path, classes=3)
    assert walk(path, 2, 3, seed=0, label="2").labels.tolist() == [2] * 6
    drawn = open_sampler(path)(2, seed=0).labels
    assert walk(path, 2, 3, seed=0).labels.tolist() == [int(drawn[0])] * 6


def test_a_walk_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a walk of 100,000; at most 10,000"):
        walk(tmp_path, 1000, 100, seed=0)


def test_a_film_shows_every_image_over_and_over(tmp_path: Path) -> None:
    samples = walk(a_model(tmp_path), 2, 5, seed=1)
    write_samples(samples, tmp_path / "walk.gif", 5)
    with Image.open(tmp_path / "walk.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"], film.info["duration"]) == (10, (32, 32), 0, 40)
        film.seek(7)
        shown = np.asarray(film.convert("RGB")).transpose(2, 0, 1).astype(int)
    assert np.abs(shown - samples.images[7].numpy()).mean() < 6  # of 256 colours
    write_samples(samples, tmp_path / "walk.png", 5)
    with Image.open(tmp_path / "walk.png") as grid:
        assert grid.size == (5 * 34 - 2, 2 * 34 - 2)


def test_a_film_of_mp4_is_sharp_enough_for_its_colours(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    samples = walk(a_model(tmp_path), 2, 5, seed=1)
    write_samples(samples, tmp_path / "walk.mp4", 5)
    with av.open(tmp_path / "walk.mp4") as film:
        stream = film.streams.video[0]
        assert (stream.codec.name, stream.average_rate, stream.pix_fmt) == ("h264", 25, "yuv420p")
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert [frame.shape for frame in frames] == [(256, 256, 3)] * 10
    small = frames[7].reshape(32, 8, 32, 8, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(small - samples.images[7].numpy()).mean() < 6  # of 256 colours


def test_an_mp4_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        UserError, match=r"PyAV, which is not installed: pip install 'understock\[video\]'; or write FILE.gif"
    ):
        check_form(tmp_path / "walk.mp4", walk=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_truncation_brings_images_near_to_one(family: str, home, tmp_path: Path) -> None:
    path = a_model(tmp_path, family)
    spread = [draw(home, path, 16, 0, truncation=psi).images.float().std(0).mean() for psi in (0.0, 0.5, 1.0)]
    assert spread[1] < spread[2]
    assert torch.equal(draw(home, path, 4, 0, truncation=1.0).images, open_sampler(path)(4, 0).images)
    sampler = open_sampler(path)
    assert isinstance(sampler, ZSampler)
    if not pulls_w(sampler.generator):
        assert spread[0] == 0


@pytest.mark.parametrize("truncation", [-0.1, 2.1, float("nan")])
def test_truncation_out_of_bounds_is_refused(truncation: float, home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give a number from 0 to 2, 1 for none"):
        draw(home, tmp_path, 4, 0, truncation=truncation)
