"""What holds for every method, whatever it does: a method that is not in `CASES`, or breaks a promise, fails here."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from case_trials import CPU, learner_of
from method_cases import CASES, COMMON, EVERY_CASE, EVERY_METHOD, SHARED, config_of

from spaces.errors import UserError
from spaces.trials import CONFIGS, own_settings, parse_trial
from trainables.methods.registry import METHODS, method_of
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group


def test_every_method_has_a_case_here() -> None:
    assert {config_of(case).method for case in CASES} == METHODS.keys()


def test_both_registries_have_the_same_methods_with_the_same_configs() -> None:
    assert {name: method.config for name, method in METHODS.items()} == CONFIGS


@EVERY_METHOD
def test_a_config_says_which_method_it_is_of(method: str) -> None:
    assert CONFIGS[method].model_fields["method"].default == method


@EVERY_CASE
def test_a_step_changes_what_it_should_and_gives_finite_scalars(case: str, home: Home) -> None:
    config, moves = config_of(case), CASES[case].moves
    learner, given = learner_of(case, home), gather(config, home)
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    scored = learner.sample(4, seed=0).images
    batches = method_of(config.method).batches(config, given, 0, CPU)
    assert (learner.images_per_iteration > 0) == bool(moves)
    losses = learner.step(next(batches)) if moves else {}
    assert bool(losses) == bool(moves)
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    after = learner.state_dict()
    changed = [name for name in after if name not in before or not torch.equal(after[name], before[name])]
    assert {name.partition(".")[0] for name in changed} == moves
    assert torch.equal(learner.sample(4, seed=0).images, scored) == (not moves)
    if given.source is not None:
        given.source.weights()  # SourceError if a byte of them has changed


def refusal(values: Mapping[str, Any]) -> str:
    with pytest.raises(UserError) as refused:
        parse_trial(values, "here")
    assert len(str(refused.value).splitlines()) == 1
    assert str(refused.value).startswith("here: ")
    return str(refused.value)


@EVERY_CASE
def test_unknown_settings_and_those_of_other_methods_are_refused(case: str) -> None:
    values, method = {**COMMON, **CASES[case].settings}, config_of(case).method
    assert "nonsense: Extra inputs are not permitted, got 1" in refusal({**values, "nonsense": 1})
    assert "unknown method 'nonsense'; known: as_is, augmented, cdc, " in refusal({**values, "method": "nonsense"})
    own = own_settings(CONFIGS[method])
    for foreign in {name for other in CONFIGS.values() for name in own_settings(other)} - set(own):
        said = refusal({**values, foreign: {}})
        assert f"{foreign!r} is no setting of method {method!r}, which has: {', '.join(own)}" in said


BUILT_FOR_THE_TARGET = ("stargan", "cogan", "funit", "dagan", "matchinggan", "f2gan", "figr", "joint", "gmn")


@pytest.mark.parametrize("case", BUILT_FOR_THE_TARGET)
def test_a_target_whose_size_the_networks_do_not_have_is_refused_in_one_line(case: str, home: Home) -> None:
    config, given = config_of(case), gather(config_of(case), home)
    large = replace(given.target, facts=given.target.facts.model_copy(update={"resolution": 256}))
    with pytest.raises(UserError) as refused:
        method_of(config.method).build(config, replace(given, target=large), CPU, Group())
    said = f"method {case!r} on domain 'dots' (`domains add --resolution` makes it of another size): resolution: Input should be"
    assert str(refused.value).startswith(said) and str(refused.value).endswith("32, 64 or 128, got 256")


PATCHES = ("cyclegan", "direct", "feature_consistency", "unit", "domain_confusion", "xgan", "dtn", "combogan")


@pytest.mark.parametrize("case", PATCHES)
def test_a_critic_whose_halvings_leave_too_little_is_refused_in_one_line(case: str, home: Home) -> None:
    translator = {"translator": {**SHARED["translator"], "critic_halvings": 4}}
    config = config_of(case, **translator)
    with pytest.raises(UserError) as refused:
        method_of(config.method).build(config, gather(config, home), CPU, Group())
    assert str(refused.value) == (
        "translator/critic_halvings=4 leaves 2 of 32 pixels a side, and the critic needs 4; give 3 at most"
    )
    translator["translator"]["critic_halvings"] = 3
    config = config_of(case, **translator)
    learner = method_of(config.method).build(config, gather(config, home), CPU, Group())
    learner.step(next(method_of(config.method).batches(config, gather(config, home), 0, CPU)))
