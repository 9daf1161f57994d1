import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from spaces.trials import parse_trial
from trainables.methods.fewshot.augmented import augmented
from trainables.methods.fewshot.mixture import mixed
from trainables.methods.fewshot.sampling import ShotSampler
from trainables.methods.registry import METHODS
from trainables.networks.models import Model
from trainables.networks.shots import ShotImages
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.draws import Draws
from trainables.training.loop import evaluations
from trainables.training.trial_files import TrialFiles


def shots() -> torch.Tensor:
    """Two classes of three flat images of their own grey: 0 to 20, and 200 to 220."""
    greys = torch.tensor([[0, 10, 20], [200, 210, 220]], dtype=torch.uint8)
    return greys[:, :, None, None, None].expand(2, 3, 3, 32, 32).contiguous()


def test_mixtures_lie_between_the_images_of_their_class():
    classes = torch.arange(60) % 2
    made = mixed(shots(), classes, Draws(0, 0))
    grey = made.images[:, 0, 0, 0].int()
    assert (grey[classes == 0] <= 20).all() and (grey[classes == 1] >= 200).all()
    assert grey[classes == 0].unique().numel() > 5 and torch.equal(made.of, shots()[classes])
    assert torch.equal(made.images, mixed(shots(), classes, Draws(0, 0)).images)


def test_augmented_images_keep_their_border_and_most_of_their_ink():
    images = torch.ones(32, 3, 32, 32)
    images[:, :, 8:24, 8:24] = -1
    changed = augmented(images, Draws(0, 0))
    assert torch.allclose(changed[:, :, 0], torch.ones(())), "white comes in, as the border is"
    ink = (1 - changed).mean((1, 2, 3)) / (1 - images).mean((1, 2, 3))
    assert 0.7 < float(ink.min()) < 0.95 < 1.05 < float(ink.max()) < 1.4
    assert len({each.tobytes() for each in changed.numpy()}) == 32


@pytest.mark.parametrize("method", ["mixture", "augmented"])
def test_a_baseline_samples_out_of_its_files_the_users_own_images_too(method: str) -> None:
    images = ShotImages.of(shots(), torch.tensor([0, 1]))
    sampler = METHODS[method].sampler(Model({"shots": images.network}, {"shots": images.state_dict()}))
    assert isinstance(sampler, ShotSampler)
    drawn = sampler.drawn(8, 0, label=1)
    assert drawn.labels is not None and set(drawn.labels.tolist()) == {1} and int(drawn.images.min()) >= 199
    own = sampler.drawn_of(torch.full((2, 3, 32, 32), 100, dtype=torch.uint8), 4, 0)
    assert set(own.images.unique().tolist()) <= {99, 100, 101}


def test_a_baseline_has_no_source():
    values = {"target": "dots", "source": "many", "method": "mixture", "data": {"shots": 2}}
    with pytest.raises(UserError, match="'mixture' learns from no source, and 'many' is one; give 'scratch'"):
        parse_trial({**values, "budget": {"images": 32, "eval_every_images": 16}}, "test")


def test_it_ends_well_in_a_study_that_compares_it_with_translations(
    fewshot: Callable[..., TrialConfig], home: Home, tmp_path: Path
) -> None:
    protocol = {"metrics": ("fd", "content_shift", "pair_error"), "input_size": 32, "n_fake": 24}
    config = fewshot("augmented", source=SCRATCH, protocol=protocol)
    files = TrialFiles(tmp_path / "trial", tmp_path / "samples")
    *_, last = evaluations(run_trial(config, home, files, torch.device("cpu")))
    assert last.status == "completed" and last.metrics["fd"] > 0
    assert all(math.isnan(last.metrics[name]) for name in ("content_shift", "pair_error"))
