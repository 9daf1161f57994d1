"""Configs of the methods that start from a source model."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from spaces.methods.from_source import FromSourceConfig
from spaces.trials import parse_trial
from trainables.sources.shelf import SourceModel

C = TypeVar("C", bound=FromSourceConfig)


@pytest.fixture
def from_seed_7(tiny_domain: str, tiny_source: SourceModel) -> Callable[..., Any]:
    """A config of that kind, which trains in a second from the tiny source; keywords replace whole fields."""

    def make(kind: type[C], **fields: Any) -> C:
        values = {
            "target": tiny_domain,
            "method": kind.model_fields["method"].default,
            "source": "seed-7",
            "network": {"resolution": 32, "width": 2, "z_dim": 8},
            "loss": {"n_critic": 2},
            "optim": {"batch": 4},
            "budget": {"images": 32, "eval_every_images": 16},
        }
        parsed = parse_trial(values | fields, "test")
        assert isinstance(parsed, kind)
        return parsed

    return make
