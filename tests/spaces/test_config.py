from typing import Any

import pytest

from spaces.config import Budget
from spaces.errors import UserError, lookup
from spaces.protocol import METRICS, Protocol
from spaces.trials import parse_trial, parse_trial_json

VALID: dict[str, Any] = {
    "target": "cats",
    "source": "dogs",
    "network": {"resolution": 32},
    "budget": {"images": 10, "eval_every_images": 5},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": {"resolution": 48}}, "network/resolution: Input should be 32, 64 or 128, got 48"),
        ({"target": "../cats"}, "target"),
        ({"source": "a/b"}, "source"),
        ({"lr": 1}, "lr: Extra inputs are not permitted"),
        ({"budget": {"images": 0, "eval_every_images": 5}}, "budget/images: Input should be greater than 0, got 0"),
        ({"optim": {"lr_g": -1}}, "optim/lr_g"),
        ({"protocol": {"metrics": ["fid"]}}, "fid needs extractor 'inception'"),
        ({"protocol": {"metrics": ["fd"], "extractor": "inception"}}, "called fid"),
        ({"protocol": {"metrics": ["lpips"]}}, "unknown metric 'lpips'; known: fid, fd"),
        ({"protocol": {"metrics": []}}, "metrics is empty"),
        ({"source": "scratch", "transfer": {"parts": "both"}}, "nothing to transfer"),
        ({"source": "scratch", "transfer": {"l2_sp": 0.1}}, "nothing to transfer"),
        ({"source": "scratch", "transfer": {"train": "norms"}}, "nothing to transfer"),
        ({"augment": {"policy": "colour"}}, "policy: unknown 'colour'; known, with commas between: color, translation"),
        ({"augment": {"policy": "color", "ada_target": 0.6}}, "two augmentations of the same images"),
        ({"augment": {"ada_target": 0.6}}, "goes by logits centred on 0, and those of loss/name='wgan_gp' are not"),
        (
            {"augment": {"ada_target": 0.6}, "loss": {"name": "relativistic"}},
            "loss/name='relativistic' are not; set loss",
        ),
        ({"loss": {"lecam": 0.3}}, "loss/lecam=0.3 goes by logits centred on 0"),
        (
            {"transfer": {"train": "norms", "parts": "discriminator"}},
            "transfer/train='norms' needs the source's generator",
        ),
        ({"transfer": {"ewc": 1, "parts": "generator"}}, "transfer/ewc=1 weighs by the source's critic"),
        ({"method": "nonsense"}, "unknown method 'nonsense'; known: as_is, augmented, cdc"),
        ({"method": "as_is", "loss": {}}, "'loss' is no setting of method 'as_is', which has: network"),
        ({"method": "as_is", "source": "scratch"}, "'as_is' samples a source model, and source 'scratch' is none"),
        (
            {"network": {"family": "biggan"}},
            "network: unknown family of networks; known: dcgan, mimicry, resnet, stylegan2",
        ),
    ],
)
def test_bad_configs_are_refused_in_one_line_that_names_the_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        parse_trial(VALID | change, "space 'mine'")
    assert str(error.value).startswith("space 'mine': ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(UserError, match="budget: Field required"):
        parse_trial({name: value for name, value in VALID.items() if name != "budget"}, "x")


def test_scratch_transfers_nothing_and_a_source_both_networks_unless_told() -> None:
    assert parse_trial(VALID | {"source": "scratch"}, "x").transfer.parts == "none"
    assert parse_trial(VALID, "x").transfer.parts == "both"


def test_a_config_is_frozen_and_survives_json() -> None:
    config = parse_trial(VALID, "x")
    assert parse_trial_json(config.model_dump_json(), "test") == config
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3  # type: ignore[misc]


def test_every_metric_has_a_protocol_that_allows_it() -> None:
    for metric in METRICS:
        extractor = "inception" if metric in ("fid", "kid") else "efficientnet_lite0"
        before = ("fd",) if METRICS[metric].by_class else ()  # a search can't go by what is measured at the end alone
        assert Protocol(metrics=(*before, metric), extractor=extractor).metrics == (*before, metric)


def test_lookup_lists_the_known_names() -> None:
    with pytest.raises(UserError, match="unknown loss 'hnge'; known: hinge, wgan"):
        lookup({"wgan": 1, "hinge": 2}, "loss", "hnge")


def test_a_stretched_budget_has_as_many_evaluations_spaced_likewise() -> None:
    budget = Budget(images=900, eval_every_images=100, eval_growth=3, eval_start=True)
    assert budget.stretched(9_000) == Budget(images=9_000, eval_every_images=1_000, eval_growth=3, eval_start=True)
    assert budget.stretched(3).eval_every_images == 1


@pytest.mark.parametrize(("given", "lr"), [({}, 1e-4), ({"outer": "step"}, 0.1), ({"outer": "step", "lr": 0.5}, 0.5)])
def test_figr_goes_a_tenth_of_the_way_by_steps_unless_told(given: dict[str, Any], lr: float) -> None:
    budget = VALID["budget"]
    values = {"target": "a", "source": "b", "method": "figr", "data": {"shots": 3}, "budget": budget, "training": given}
    config = parse_trial(values, "test")
    assert parse_trial_json(config.model_dump_json(), "test") == config
    assert config.training.lr == lr  # type: ignore[attr-defined]
