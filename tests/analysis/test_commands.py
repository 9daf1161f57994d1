import json
import shlex

import typer

import understock
from analysis.commands import again, longer, search_command, short_command
from search.launch import resolve_study
from search.records.study import StudySpec
from spaces.networks import conditional

COMMANDS = typer.main.get_command(understock.app)
PLACE = {"target", "--address", "--submit", "--working-dir", "--dashboard", "--track", "--dry-run", "--home"} | {
    "--confirm"
}
"""What the verb takes that says where, how and what then to run, not what the study is; and its argument."""


def test_every_option_that_defines_a_study_is_in_its_command(new_study):
    limits = {"hours": 2.0, "core_hours": 2.5, "gpu_hours": 1.0, "until_gain": 0.02}
    study = new_study(max_seconds=90.0, memory_per_trial=2**30, **limits)
    base = study.spec.base
    fewer, by_class = base.data.model_copy(update={"target_images": 50}), conditional(base.network, 10)
    base = base.model_copy(update={"data": fewer, "network": by_class})
    given = shlex.split(search_command(study.spec.model_copy(update={"base": base, "early_stopping": True})))
    flags = {max(option.opts, key=len) for option in COMMANDS.commands["search"].params} - PLACE
    by_count = {"data": base.data.model_copy(update={"target_images": None, "shots": 3})}
    shots = shlex.split(search_command(study.spec.model_copy(update={"base": base.model_copy(update=by_count)})))
    assert {"--shots"} == set(shots) - set(given) - {"3"} and "--target-images" not in shots
    assert flags - {"--shots"} == {word for word in given if word.startswith("--")}


def test_a_study_is_defined_by_its_command(home, tiny_domain, tiny_source, capsys):
    before = resolve_study(
        home,
        "dots",
        "source_by_parts",
        name="a",
        sources="seed-7",
        target_images=30,
        max_images=900,
        metric="iw",
        extractor="random_convnet",
        trials=3,
        seed=5,
        sampler="grid",
        early_stopping=False,
        concurrency=3,
        threads_per_trial=2,
        workers_per_trial=4,
        gpus_per_worker=0.0,
        max_minutes=0.7,
        hours=1.5,
        core_hours=2.25,
        memory_per_trial=3 * 2**29,
    ).spec
    words = shlex.split(search_command(before))[1:]
    COMMANDS.main([*words, "--dry-run", "--home", str(home.root)], standalone_mode=False)
    after = StudySpec.parse(json.loads(capsys.readouterr().out)["study"], "test")
    assert after.model_copy(update={"created": before.created}) == before


def test_a_longer_study_than_one_that_had_cost_enough_has_twice_the_default_of_trials(new_study):
    command = longer(new_study(hours=2.0, until_gain=0.02).spec.model_copy(update={"trials": None}))
    assert "--trials 48" in command and "--hours" not in command and "--until-gain" not in command


def test_a_longer_study_differs_in_name_and_trials_alone(new_study):
    spec = new_study().spec
    longer = spec.model_copy(update={"name": "b", "trials": 99})
    assert search_command(spec, name="b", trials=99) == search_command(longer) != search_command(spec)


def test_what_a_shell_would_read_otherwise_is_quoted(new_study):
    given = search_command(new_study(space="/my spaces/a.py:it's").spec)
    assert shlex.split(given)[4] == "/my spaces/a.py:it's"
    assert "/my spaces" not in given.split()


def test_one_trained_configuration_is_trained_again_from_its_study_file(new_study):
    spec = new_study(space="unvaried", sampler="grid", early_stopping=False, trials=1).spec
    assert again(spec) == "understock train phosphor --config study.json --name phosphor-1"
    given = shlex.split(longer(spec))
    assert given[:5] == ["understock", "search", "phosphor", "--space", "quickstart"]
    assert "--sources" not in given
    assert "--sampler" not in given


def test_other_studies_are_searched_again(new_study):
    spec = new_study().spec
    assert again(spec) == search_command(spec)
    other = spec.model_copy(update={"seed": spec.seed + 1})
    assert longer(spec) == search_command(other, name="phosphor-1-more", trials=16)


def test_a_longer_study_of_few_trials_has_enough_for_an_importance_and_repeats_none_of_them(new_study):
    spec = new_study(trials=3, seed=4).spec
    assert "--trials 16 --seed 5 " in longer(spec)


def test_a_command_for_a_study_without_early_stopping_names_no_way_of_it_and_can_be_run(
    home, tiny_domain, tiny_source, capsys
):
    spec = resolve_study(home, "dots", "quickstart", name="a", sources="seed-7", max_images=900).spec
    assert (spec.sampler, spec.stopping) == ("transfer", "curves")
    whole = spec.model_copy(update={"space": "source_by_parts", "sampler": "grid", "early_stopping": False})
    for command in (short_command(whole, name="b"), search_command(whole, name="b", trials=3)):
        COMMANDS.main([*shlex.split(command)[1:], "--dry-run", "--home", str(home.root)], standalone_mode=False)
        found = StudySpec.parse(json.loads(capsys.readouterr().out)["study"], "test")
        assert (found.early_stopping, found.sampler) == (False, "grid") and "--stop" not in command.split()
