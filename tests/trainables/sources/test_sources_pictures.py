import json

import numpy as np
import pytest
from PIL import Image

from spaces.errors import UserError
from trainables.images.domains import open_domain, write_domain
from trainables.images.grids import image_grid
from trainables.networks.resnet import Generator
from trainables.networks.sampling import sample
from trainables.sources.pictures import tiles, write_neighbours, write_source_grid


@pytest.fixture
def small_config(tiny_config):
    """Trained on 20 of the 40 images."""
    return tiny_config(data={"target_images": 20})


def neighbours(home, config, images, tmp_path):
    grid, output = tmp_path / "000000016.png", tmp_path / "exhibits" / "near.png"
    image_grid(images).save(grid)
    write_neighbours(home, config, grid, output)
    return json.loads(output.with_suffix(".json").read_text()), tiles(output, 32)


def test_tiles_are_the_images_of_a_grid(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (6, 3, 8, 8), dtype=np.uint8)
    image_grid(images).save(tmp_path / "grid.png")
    assert np.array_equal(tiles(tmp_path / "grid.png", 8), images)


def test_copies_of_training_images_lie_at_no_distance_above_their_originals(home, small_config, tmp_path):
    domain = open_domain(home, "dots")
    rows = domain.subset(20, 0)
    noise = np.random.default_rng(0).integers(0, 255, (4, 3, 32, 32), dtype=np.uint8)
    found, shown = neighbours(home, small_config, np.concatenate([noise, domain.images[rows[:5]]]), tmp_path)
    assert found["train_images"] == 20
    assert found["samples"][4:] == pytest.approx([0] * 5, abs=0.05)
    assert min(found["samples"][:4]) > 1
    assert np.array_equal(shown[:5], shown[8:13])  # below each copy, its original


def test_images_that_the_trial_did_not_train_on_are_no_neighbours(home, small_config, tmp_path):
    domain = open_domain(home, "dots")
    unused = domain.subset(None, 0)[20:26]
    found, _ = neighbours(home, small_config, domain.images[unused], tmp_path)
    assert min(found["samples"]) > 0.05


def test_held_out_images_say_what_distances_are_to_be_expected(home, small_config, tmp_path):
    domain = open_domain(home, "dots")
    found, _ = neighbours(home, small_config, domain.images[domain.indices("val")], tmp_path)
    assert sorted(found["samples"]) == pytest.approx(sorted(found["held_out"]), abs=1e-3)


def test_another_choice_of_training_images_than_the_metrics_is_computed(home, tiny_config, tmp_path):
    config = tiny_config(
        data={"target_images": 20, "seed": 5}, protocol={"metrics": ("fd",), "input_size": 32, "n_real": 10}
    )
    domain = open_domain(home, "dots")
    images = domain.images[domain.subset(20, 5)]
    found, _ = neighbours(home, config, images[:10], tmp_path)
    assert found["train_images"] == 10  # no more than the protocol looks at
    assert found["samples"] == pytest.approx([0] * 10, abs=0.05)


def test_a_domain_without_held_out_images_is_named(home, tiny_config, tmp_path):
    images = np.zeros((4, 3, 32, 32), np.uint8)
    write_domain(home.domain("all"), images, np.zeros(4, int), np.zeros(4, bool), origin="test", resizer="none")
    with pytest.raises(UserError, match="domain 'all' has no val images"):
        neighbours(home, tiny_config(target="all"), images, tmp_path)


@pytest.mark.parametrize("n_fake", [64, 100, 1000])
def test_a_source_models_grid_has_the_z_of_a_trials_grid(home, tiny_source, tiny_config, tmp_path, n_fake):
    protocol = tiny_config().protocol.model_copy(update={"n_fake": n_fake, "seed": 3})
    write_source_grid(home, "seed-7", protocol, tmp_path / "source.png")
    generator = Generator(tiny_source.facts.network)
    generator.load_state_dict(tiny_source.weights()["generator"])
    expected = sample(generator, n_fake, 3).numpy()[:64]  # what a trial's Evaluator draws, and keeps of it
    assert np.abs(tiles(tmp_path / "source.png", 32).astype(int) - expected).max() <= 1
    assert Image.open(tmp_path / "source.png").size == (8 * 34 - 2, 8 * 34 - 2)


def test_mirror_images_are_shown_and_near_where_the_trial_mirrored(home, tiny_config, tmp_path):
    domain = open_domain(home, "dots")
    mirrored = domain.images[domain.subset(20, 0)[:5]][..., ::-1]
    config = tiny_config(data={"target_images": 20}, augment={"flip": True})
    found, shown = neighbours(home, config, mirrored, tmp_path)
    assert found["samples"] == pytest.approx([0] * 5, abs=0.05)
    assert np.array_equal(np.sort(shown[:5], 0), np.sort(shown[5:10], 0))  # below each, itself
    plain, _ = neighbours(home, tiny_config(data={"target_images": 20}), mirrored, tmp_path)
    assert min(plain["samples"]) > 0.05
    assert plain["train_images"] == found["train_images"] == 20
