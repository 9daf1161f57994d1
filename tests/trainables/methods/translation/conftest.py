"""Two tiny domains, and a trial that translates the one to the other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spaces.config import TrialConfig
from spaces.trials import parse_trial
from trainables.images.domains import Domain, open_domain, write_domain
from trainables.storage.home import Home

NAMES = [f"picture {number}" for number in range(40)]
HELD_OUT = np.arange(40) % 5 == 0


def squares(fill: int) -> np.ndarray:
    """40 squares at places of their own: the same ones whatever they are filled with."""
    places = np.array(np.divmod(np.random.default_rng(0).permutation(144)[:40], 12)).T + 2
    images = np.full((40, 3, 32, 32), 255, np.uint8)
    for image, (x, y) in zip(images, places, strict=True):
        image[:, y : y + 16, x : x + 16] = 0
        image[:, y + 3 : y + 13, x + 3 : x + 13] = fill
    return images


@pytest.fixture
def outlines(home: Home) -> Domain:
    """Domain "outlines", the source."""
    write_domain(
        home.domain("outlines"), squares(255), np.full(40, -1), HELD_OUT, origin="test", resizer="none", names=NAMES
    )
    return open_domain(home, "outlines")


@pytest.fixture
def filled(home: Home) -> Domain:
    """Domain "filled", the target: the same squares."""
    write_domain(
        home.domain("filled"), squares(90), np.full(40, -1), HELD_OUT, origin="test", resizer="none", names=NAMES
    )
    return open_domain(home, "filled")


@pytest.fixture
def translation(outlines: Domain, filled: Domain) -> Callable[..., TrialConfig]:
    """A config that trains in a second; keywords replace whole fields, and None leaves one out."""

    def config(**fields: Any) -> TrialConfig:
        values = {
            "target": "filled",
            "source": "outlines",
            "method": "cyclegan",
            "data": {"target_images": 16},
            "translator": {"width": 2, "blocks": 1},
            "training": {"batch": 4, "pool": 6},
            "protocol": {"metrics": ("fd",), "input_size": 32, "n_fake": 24},
            "budget": {"images": 32, "eval_every_images": 16},
        }
        return parse_trial({name: value for name, value in (values | fields).items() if value is not None}, "test")

    return config
