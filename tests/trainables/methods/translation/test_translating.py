"""What all translation methods share: unpaired batches, inputs, and translating them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.networks import Resnet, Translator
from spaces.trials import translates
from trainables.images.domains import Domain, write_domain
from trainables.methods.method import Given
from trainables.methods.registry import METHODS
from trainables.methods.translation.translating import held_out_inputs, translated, unpaired_batches
from trainables.networks.families import build_generator, build_network
from trainables.networks.models import Model
from trainables.networks.sampling import ZSampler
from trainables.running.given import gather
from trainables.storage.home import Home

CPU = torch.device("cpu")
Make = Callable[..., TrialConfig]


def place_of(domain: Domain, image: torch.Tensor) -> int:
    (row,) = np.flatnonzero((domain.images == image.numpy()).all((1, 2, 3)))
    return int(row)


def drawn(config: TrialConfig, given: Given, count: int, first: int = 0) -> list[tuple[list[int], list[int]]]:
    """Of each batch the rows of target and source."""
    batches = unpaired_batches(config, given, first, CPU)
    found = []
    for batch in (next(batches) for _ in range(count)):
        (source,) = batch.sources
        rows = [
            [place_of(domain, image) for image in images]
            for domain, images in ((given.target, batch.images), (given.domains[0], source))
        ]
        found.append((rows[0], rows[1]))
    return found


def test_batches_are_a_pure_function_of_seed_and_iteration(translation: Make, home: Home) -> None:
    config = translation()
    given = gather(config, home)
    assert drawn(config, given, 6)[4:] == drawn(config, given, 2, first=4)
    assert drawn(config, given, 2) != drawn(translation(seed=1), given, 2)


def test_domains_are_drawn_independently_of_each_other(translation: Make, home: Home, filled: Domain) -> None:
    bare = home.domain("bare")
    write_domain(bare, filled.images, filled.labels, filled.is_val, origin="test", resizer="none")
    config = translation(source="bare", data={})
    given = gather(config, home)
    assert all(target != source for target, source in drawn(config, given, 8))


def test_no_picture_is_trained_on_in_both_styles_and_none_is_held_out(translation: Make, home: Home) -> None:
    config = translation()
    given = gather(config, home)
    batches = drawn(config, given, 20)
    target, source = ({row for batch in batches for row in batch[side]} for side in (0, 1))
    assert (len(target), len(source)) == (16, 16)
    assert not target & source
    assert not (target | source) & set(given.target.indices("val"))


def test_a_target_that_trains_on_every_picture_leaves_the_source_none(translation: Make, home: Home) -> None:
    config = translation(data={})
    with pytest.raises(UserError, match=r"leave it some with --target-images, fewer than 32") as refused:
        next(unpaired_batches(config, gather(config, home), 0, CPU))
    assert len(str(refused.value).splitlines()) == 1


def test_inputs_are_held_out_images_first_and_each_once_before_one_comes_again(outlines: Domain) -> None:
    inputs = held_out_inputs(outlines, 50, seed=3)
    rows = [place_of(outlines, image) for image in inputs.images]
    assert outlines.is_val[rows[:8]].all() and not outlines.is_val[rows[8:40]].any()
    assert sorted(rows[:40]) == list(range(40)) and rows[40:] == rows[:10]
    assert inputs.names == tuple(outlines.names[row] for row in rows)
    assert torch.equal(held_out_inputs(outlines, 5, seed=3).images, inputs.images[:5])
    assert not torch.equal(held_out_inputs(outlines, 5, seed=4).images, inputs.images[:5])


def test_translations_say_what_they_are_of_and_do_not_depend_on_the_batch(outlines: Domain) -> None:
    translator, inputs = build_network("generator", Translator(width=2, blocks=1), 0), held_out_inputs(outlines, 9, 0)
    whole, parts = translated(translator, inputs), translated(translator, inputs, batch=2)
    assert torch.equal(whole.inputs, inputs.images) and whole.pictures == inputs.names
    assert (whole.images.int() - parts.images.int()).abs().max() <= 1


@pytest.mark.parametrize("method", [name for name in METHODS if translates(name)])
def test_a_sampler_that_translates_wants_inputs(method: str) -> None:
    translator = Translator(width=2)
    weights = {"generator": build_network("generator", translator, 0).state_dict()}
    model = Model({}, {}) if method == "untranslated" else Model({"generator": translator}, weights)
    with pytest.raises(UserError, match="this model translates images, and was given none; give inputs"):
        METHODS[method].sampler(model)(4, 0)


def test_a_sampler_of_noise_takes_no_inputs(outlines: Domain) -> None:
    network = Resnet(resolution=32, width=2, z_dim=8)
    model = Model({"generator": network}, {"generator": build_generator(network, 0).state_dict()})
    with pytest.raises(UserError, match="takes none to translate; leave the inputs out"):
        ZSampler(model)(4, 0, held_out_inputs(outlines, 4, 0))
