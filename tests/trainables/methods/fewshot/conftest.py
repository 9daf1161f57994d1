"""Two tiny domains of labelled squares: one of seen classes, one of others, which a trial has few images of."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spaces.config import TrialConfig
from spaces.trials import parse_trial
from trainables.images.domains import Domain, open_domain, write_domain
from trainables.storage.home import Home


def squares(classes: range, each: int) -> tuple[np.ndarray, np.ndarray]:
    """So many images of each class: squares of the class's own grey, at places of their own."""
    labels = np.repeat(np.arange(len(classes)), each)
    images = np.full((len(labels), 3, 32, 32), 255, np.uint8)
    places = np.random.default_rng(classes.start).integers(0, 16, (len(labels), 2))
    for image, label, (x, y) in zip(images, labels, places, strict=True):
        image[:, y : y + 16, x : x + 16] = 20 * classes[label]
    return images, labels


@pytest.fixture
def seen(home: Home) -> Domain:
    """Domain "seen": 6 classes of 8 images, 6 of them to train on."""
    images, labels = squares(range(6), 8)
    write_domain(home.domain("seen"), images, labels, np.arange(48) % 8 > 5, origin="test", resizer="none")
    return open_domain(home, "seen")


@pytest.fixture
def unseen(home: Home) -> Domain:
    """Domain "unseen": 2 further classes of 12 images, 9 of them to train on."""
    images, labels = squares(range(7, 9), 12)
    write_domain(home.domain("unseen"), images, labels, np.arange(24) % 12 > 8, origin="test", resizer="none")
    return open_domain(home, "unseen")


@pytest.fixture
def fewshot(seen: Domain, unseen: Domain) -> Callable[..., TrialConfig]:
    """A config that trains in a moment; keywords replace whole fields."""

    def config(method: str, **fields: Any) -> TrialConfig:
        values = {
            "target": "unseen",
            "source": "seen",
            "method": method,
            "data": {"shots": 3},
            "protocol": {"metrics": ("fd",), "input_size": 32, "n_fake": 24},
            "budget": {"images": 32, "eval_every_images": 16},
        }
        return parse_trial(values | fields, "test")

    return config
