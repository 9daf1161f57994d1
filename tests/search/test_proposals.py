from collections.abc import Callable

import optuna
import pytest

from search.launch import resolve_study
from search.proposals import grid, load_space, overlaid, probe, trial_config, varied
from search.records.study import StudyPaths, StudySpec
from spaces.errors import UserError
from spaces.presets import small
from spaces.suggest import Space
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

File = Callable[..., str]
New = Callable[..., tuple[StudyPaths, StudySpec]]


def test_an_unknown_space_lists_the_known() -> None:
    with pytest.raises(
        UserError,
        match=r"unknown space .*'quikstart'; known: conditional, fewshot, from_a_source, limited_data, methods",
    ):
        load_space("quikstart")


def test_a_missing_file_and_a_missing_function_are_told_apart(space_file: File) -> None:
    with pytest.raises(UserError, match=r"there is no file /nowhere/mine\.py"):
        load_space("/nowhere/mine.py:space")
    with pytest.raises(UserError, match="has no function 'nope'; it has: space"):
        load_space(space_file("def space(trial): ...", "nope"))


def test_a_file_may_hold_a_whole_space_with_what_its_trials_have_in_common(space_file: File) -> None:
    code = "from spaces.suggest import Space, unvaried\nmine = Space(unvaried, {'loss/n_critic': 3})\n"
    assert load_space(space_file(code, "mine")).common == {"loss/n_critic": 3}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def space(:", "SyntaxError"),
        ("raise ValueError('no such thing')", r"ValueError: no such thing \(.*mine.py, line 1\)"),
    ],
)
def test_a_file_that_does_not_load_is_refused_with_its_line(space_file: File, code: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_space(space_file(code))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("trial.suggest_float('optim/lr', 0.1, 1)", "optim/lr: Extra inputs are not permitted"),
        ("trial.suggest_float('optim/lr_g', -2, -1)", "optim/lr_g: Input should be greater than 0"),
        ("trial.suggest_int('seed/deep', 0, 1)", "'seed/deep' is no field"),
        ("trial.suggest_int('budget/images', 1, 2)", "'budget/images', which all trials of a study have in common"),
        ("trial.suggest_categorical('protocol/n_fake', [1])", "'protocol/n_fake', which all trials"),
        ("trial.suggest_categorical('source', ['nosuch'])", "suggests source 'nosuch'; the study has: seed-7, scratch"),
        (
            "trial.suggest_categorical('method', ['magic'])",
            "unknown method 'magic'; known: as_is, augmented",
        ),
        ("trial.suggest_categorical('data/target_images', [41])", "suggests data/target_images=41; the study has 40"),
        ("trial.suggest_categorical('network/resolution', [64])", "network/resolution=64; the target has 32 pixels"),
        ("import sys; sys.exit(3)", "failed: SystemExit: 3"),
        ("1 / 0", r"failed: ZeroDivisionError: division by zero \(.*mine.py, line 2\)"),
        ("trial.suggest_nothing('x')", r"failed: AttributeError"),
    ],
)
def test_a_space_that_suggests_nonsense_is_refused_before_anything_runs(new_study: New, line: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        new_study(f"def space(trial, *, sources, train_images):\n    {line}\n")


def test_a_source_beside_that_the_study_lacks_is_refused_before_anything_runs(new_study: New) -> None:
    lines = ["trial.suggest_categorical('source', ['seed-7'])", "trial.suggest_categorical('method', ['minegan'])"]
    lines.append("trial.suggest_categorical('mining/beside', ['nosuch'])")
    code = "".join(f"    {line}\n" for line in lines)
    with pytest.raises(UserError, match="suggests source 'nosuch'; the study has: seed-7, scratch"):
        new_study(f"def space(trial, *, sources, train_images):\n{code}")


def test_a_space_without_the_agreed_arguments_is_refused(new_study: New) -> None:
    with pytest.raises(UserError, match="unexpected keyword argument"):
        new_study("def space(trial):\n    pass\n")


def test_parameters_are_laid_over_the_base_and_a_source_brings_its_transfer() -> None:
    config = overlaid(small("cats", 32), {"source": "dogs", "optim/lr_g": 0.5}, "x")
    assert (config.source, config.transfer.parts, config.optim.lr_g) == ("dogs", "both", 0.5)
    assert overlaid(small("cats", 32), {"source": "scratch"}, "x").transfer.parts == "none"


def test_a_grid_has_every_combination_once(new_study: New, grid_code: str) -> None:
    _, spec = new_study(grid_code, sampler="grid", trials=None)
    cells = grid(spec, load_space(spec.space))
    assert len(cells) == spec.trials == 2 * (2 + 1)
    assert len({tuple(cell.items()) for cell in cells}) == 6


def test_a_continuous_range_is_no_grid(new_study: New) -> None:
    with pytest.raises(UserError, match="can't be a grid"):
        new_study(sampler="grid")


def test_probe_is_random_by_seed_alone(new_study: New) -> None:
    _, spec = new_study()
    assert probe(spec, load_space(spec.space))[0] == probe(spec, load_space(spec.space))[0]


def test_what_a_space_varies_is_not_what_one_trial_of_it_has(new_study: New) -> None:
    code = """
def space(trial, *, sources, train_images):
    if trial.suggest_categorical("source", ["seed-7", "scratch"]) == "scratch":
        trial.suggest_float("optim/lr_g", 1e-4, 1e-2, log=True)
    else:
        trial.suggest_categorical("transfer/parts", ["both"])
"""
    _, spec = new_study(code)
    assert varied(spec, load_space(spec.space)) == {"source", "optim/lr_g", "transfer/parts"}


def test_a_penalty_that_a_critic_can_not_have_is_refused_before_a_search(
    home: Home, tiny_domain: str, new_source: Callable[..., SourceModel], space_file: File
) -> None:
    new_source("plain", family="dcgan")
    code = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", sources)
    trial.suggest_float("loss/penalty", 1.0, 2.0)
"""
    with pytest.raises(UserError, match=r"loss/penalty=1.*: the critic of a dcgan normalises over its batch"):
        resolve_study(home, tiny_domain, space_file(code, "space"), sources="plain")


def test_a_source_without_a_critic_offers_its_generator_alone(
    home: Home, tiny_domain: str, new_source: Callable[..., SourceModel], space_file: File
) -> None:
    new_source("whole"), new_source("alone", critic=False)
    spec = resolve_study(home, tiny_domain, "source_by_parts", sources="whole,alone", sampler="grid").spec
    assert spec.without_critic == ("alone",)
    space = load_space(spec.space)
    configs = [overlaid(spec.base, cell, "test", spec.without_critic) for cell in grid(spec, space)]
    parts = [(config.source, config.parts) for config in configs]
    both_seeds = [("alone", "generator"), ("whole", "both"), ("whole", "discriminator"), ("whole", "generator")]
    assert sorted(part for part in parts if part[0] != "scratch") == sorted(2 * both_seeds)


def test_a_space_that_offers_no_generator_to_a_source_without_a_critic_is_refused(
    home: Home, tiny_domain: str, new_source: Callable[..., SourceModel], space_file: File
) -> None:
    new_source("alone", critic=False)
    code = "def space(trial, *, sources, train_images):\n"
    code += (
        "    trial.suggest_categorical('source', sources)\n    trial.suggest_categorical('transfer/parts', ['both'])\n"
    )
    with pytest.raises(UserError, match="source 'alone' has no critic, and the space offers transfer/parts both alone"):
        resolve_study(home, tiny_domain, space_file(code), sources="alone")


def test_a_study_from_before_a_choice_was_added_keeps_to_those_that_it_had(new_study: New) -> None:
    _, spec = new_study()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def offering(*batches: int) -> Space:
        return Space(lambda trial, **_: trial.suggest_categorical("optim/batch", list(batches)))

    first = trial_config(spec, offering(4, 8), study.ask())
    found = [trial_config(spec, offering(4, 8, 16), study.ask()).optim.batch for _ in range(20)]  # type: ignore[attr-defined]
    assert {first.batch, *found} == {4, 8}
    again = study.get_trials()[-1]  # as it is read from the journal
    assert trial_config(spec, offering(4, 8, 16), again).batch == found[-1]
    with pytest.raises(UserError, match="CategoricalDistribution does not support dynamic value space"):
        trial_config(spec, offering(4, 32), study.ask())  # which is another space


CONSTANT = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["seed-7"])
    trial.suggest_categorical("optim/lr_g", [1e-3])
"""


@pytest.mark.parametrize(
    ("settings", "many"),
    [({"trials": 3}, "3 trials"), ({"trials": None}, "24 trials"), ({"trials": None, "hours": 1}, "trials")],
)
def test_a_space_that_varies_nothing_is_refused_where_trials_would_repeat_each_other(
    new_study: New, settings: dict[str, int | None], many: str
) -> None:
    with pytest.raises(
        UserError, match=rf"mine.py:space' varies nothing, so that all {many} would be the same; give --trials 1, or"
    ):
        new_study(CONSTANT, **settings)
    assert [new_study(CONSTANT, name=name, **own)[1].trials for name, own in ONE_TRIAL.items()] == [1, 1]


ONE_TRIAL: dict[str, dict[str, object]] = {"one": {"trials": 1}, "grid": {"trials": None, "sampler": "grid"}}


@pytest.mark.parametrize(
    "line", ["trial.suggest_int('seed', 0, 1)", "trial.suggest_categorical('loss/n_critic', [1, 2])"]
)
def test_a_seed_or_one_choice_is_enough_to_vary(new_study: New, line: str) -> None:
    assert new_study(f"{CONSTANT}    {line}\n", trials=3)[1].trials == 3


def test_a_study_that_varies_nothing_and_was_begun_by_an_earlier_version_goes_on(
    new_study: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.launch.check_varied", lambda *_: None)
    before = new_study(CONSTANT, trials=3)
    monkeypatch.undo()
    assert new_study(CONSTANT, trials=3) == before


DEPENDENT = """
def space(trial, *, sources, train_images):
    source = trial.suggest_categorical("source", ["seed-7", "scratch"])
    trial.suggest_categorical("optim/batch", [4, 8] if source == "scratch" else [4, 8, 16])
"""


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
def test_a_new_study_is_refused_where_a_parameter_s_choices_depend_on_another(
    new_study: New, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    with pytest.raises(UserError, match=r"optim/batch 4, 8(, 16)? in one trial and 4, 8(, 16)? in another") as refused:
        new_study(DEPENDENT, sampler=sampler)
    assert "\n" not in str(refused.value)
    monkeypatch.setattr("search.launch.check_choices", lambda *_: None)
    before = new_study(DEPENDENT, sampler=sampler)
    monkeypatch.undo()
    assert new_study(DEPENDENT, sampler=sampler) == before  # which an earlier version began


def test_choices_in_another_order_are_the_same_ones(new_study: New) -> None:
    assert new_study(DEPENDENT.replace("[4, 8, 16]", "[8, 4]"))
