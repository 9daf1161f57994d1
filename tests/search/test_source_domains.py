"""Which domains a study translates from: those that fit, with a line for each that was named and does not."""

from collections.abc import Callable, Sequence

import numpy as np
import optuna
import pytest

import understock
from search.launch import Resolved, begin, resolve_study
from search.proposals import load_space, trial_config
from search.records.inputs import check_unchanged, check_unclaimed
from search.records.study import open_study
from search.running.ledger import Ledger
from search.running.suggested import first_trials
from spaces.config import SCRATCH
from spaces.errors import UserError
from spaces.suggest import FEWSHOT, SPACES
from spaces.trials import trains
from trainables.images.domains import write_domain
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

EVERYTHING = (
    "methods cyclegan, unit, direct, untranslated take images of source domains, and there are none for domain 'dots'"
)


def add(home: Home, name: str, pixels: int = 32, names: Sequence[str] = (), shade: int = 0) -> None:
    images = np.random.default_rng(shade).integers(0, 256, (20, 3, pixels, pixels), dtype=np.uint8)
    is_val = np.arange(20) % 4 == 0
    write_domain(home.domain(name), images, np.full(20, -1), is_val, origin="test", resizer="none", names=names)


def resolve(home: Home, target: str = "dots", space: str = "translation", **settings: object) -> Resolved:
    return resolve_study(home, target, space, **settings)


def test_without_names_all_other_domains_of_the_resolution_are_taken(home: Home, tiny_domain: str) -> None:
    for name, pixels in (("rings", 32), ("bars", 32), ("large", 64)):
        add(home, name, pixels)
    resolved = resolve(home)
    assert (resolved.spec.domains, resolved.spec.sources, resolved.notes) == (("bars", "rings"), (), ())
    assert resolved.spec.digests.keys() == {"domain:dots", "domain:bars", "domain:rings"}
    assert resolved.example.source in ("bars", "rings") and resolved.example.method in SPACES["translation"].methods


def test_of_named_domains_one_that_does_not_fit_is_left_out_with_a_line(home: Home, tiny_domain: str) -> None:
    add(home, "rings")
    add(home, "large", 64)
    resolved = resolve(home, sources="rings,large,dots")
    assert resolved.spec.domains == ("rings",)
    large, target = resolved.notes
    assert large.startswith("domain 'large' is left out: domain 'large' has 64 pixels, domain 'dots' 32")
    assert target == "domain 'dots' is left out: domain 'dots' is the target itself, and there is nothing to translate"


def test_named_alone_it_is_an_error_that_says_the_same(home: Home, tiny_domain: str) -> None:
    add(home, "large", 64)
    with pytest.raises(UserError) as refused:
        resolve(home, sources="large")
    assert str(refused.value).startswith(f"{EVERYTHING}: domain 'large' is left out: domain 'large' has 64 pixels")
    with pytest.raises(UserError) as refused:
        resolve(home)
    assert str(refused.value).startswith(f"{EVERYTHING}: no other domain of 32 pixels is in ")
    with pytest.raises(UserError, match="unknown domain 'nope'"):
        resolve(home, sources="nope")


def test_styles_of_the_same_pictures_want_some_left_by_the_target(home: Home) -> None:
    names = [f"picture {number}" for number in range(20)]
    add(home, "thin", names=names)
    add(home, "fill", names=names, shade=1)
    with pytest.raises(UserError, match="leave it some with --target-images, fewer than 15"):
        resolve(home, "fill", sources="thin")
    assert resolve(home, "fill", sources="thin", target_images=8).spec.domains == ("thin",)


def test_each_domain_is_first_tried_with_every_method(home: Home, tiny_domain: str) -> None:
    add(home, "rings")
    add(home, "bars")
    spec = resolve(home, trials=5).spec
    planned = [(values["source"], values["method"]) for values in first_trials(spec, load_space(spec.space))]
    assert planned == [
        *(("bars", method) for method in ("untranslated", "cyclegan", "unit", "direct")),
        ("rings", "untranslated"),
    ]


def test_a_study_holds_its_source_domains_to_what_they_were(home: Home, tiny_domain: str) -> None:
    add(home, "rings")
    spec = open_study(home, begin(home, resolve(home).spec))[1]
    assert spec.domains == ("rings",)
    with pytest.raises(
        UserError, match="domain 'rings' is what an unfinished study was planned with: dots-translation"
    ):
        check_unclaimed(home, "domain", "rings", force=False)
    add(home, "rings", shade=3)
    with pytest.raises(UserError, match="domain 'rings' has changed since it started"):
        check_unchanged(home, spec)


def test_other_spaces_take_source_models_as_before(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    add(home, "rings")
    spec = resolve(home, space="quickstart", sources="seed-7").spec
    assert (spec.sources, spec.domains) == (("seed-7",), ())


def test_methods_translate_where_each_source_model_is_called_like_a_domain_that_fits(
    home: Home, tiny_domain: str, new_source: Callable[..., SourceModel]
) -> None:
    new_source("rings")
    add(home, "rings")
    spec = resolve(home, space="methods", sources="rings", trials=9).spec
    assert (spec.sources, spec.domains) == (("rings",), ("rings",))
    planned = first_trials(spec, load_space("methods"))
    assert [values.get("method") for values in planned if values["source"] == "rings"] == [
        "finetune",
        "as_is",
        "cyclegan",
        "untranslated",
    ]
    assert spec.base.protocol.metrics[-1] == "content_shift"


def test_else_methods_do_without_translation_and_a_line_says_why(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    resolved = resolve(home, space="methods", sources="seed-7", sampler="tpe")
    assert resolved.spec.domains == () and "content_shift" not in resolved.spec.base.protocol.metrics
    (said,) = (note for note in resolved.notes if "left out" in note)
    assert said == (
        f"methods cyclegan, untranslated are left out: they take images of source domains, and {home} has no seed-7; add them "
        "with: understock domains add seed-7 WHAT --resolution 32"
    )
    planned = first_trials(resolved.spec, load_space("methods"))
    assert {values.get("method") for values in planned if values["source"] == "seed-7"} == {"finetune", "as_is"}


def test_builtin_sources_that_methods_lack_the_images_of_are_named_as_one_adds_them(
    home: Home, tiny_domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (said,) = (note for note in resolve(home, space="methods", sources="mdi,mnist").notes if "left out" in note)
    commands = [part.strip() for part in said.partition("add them with: ")[2].split(";")]
    assert [command.split()[:2] for command in commands] == [["understock", "domains"]] * 2
    for command in commands:  # typed as it is said
        monkeypatch.setattr("sys.argv", [*command.split(), "--home", str(home)])
        with pytest.raises(SystemExit) as ended:
            understock.main()
        assert ended.value.code == 0
    assert resolve(home, space="methods", sources="mdi,mnist").spec.domains == ("mdi", "mnist")


DRAWN = {"weights/mode_seeking": 1.0, "weights/reconstruction": 1.0}


def classes(home: Home, name: str, names: Sequence[str], flip: bool = False) -> None:
    labels = np.arange(40) % len(names)
    images = np.random.default_rng(len(name)).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    is_val, about = np.arange(40) < 8, {"origin": "test", "resizer": "none", "flip": flip}
    write_domain(home.domain(name), images, labels, is_val, class_names=names, **about)


def test_few_shot_methods_learn_from_domains_of_other_classes_and_baselines_from_none(home: Home) -> None:
    classes(home, "few", ("x", "y"))
    classes(home, "many", ("a", "b", "c", "d"))
    classes(home, "leaking", ("a", "x", "y"))
    add(home, "unlabelled")
    resolved = resolve(home, "few", "fewshot", shots=3)
    assert (resolved.spec.domains, resolved.spec.sources) == (("many",), ())
    assert any(
        "'leaking' has 2 of the target's classes, such as 'x', and they are to be" in note for note in resolved.notes
    )
    assert resolved.spec.base.protocol.metrics[-3:] == ("class_accuracy", "mkd", "feature_diversity")
    first = first_trials(resolved.spec, load_space("fewshot"))
    assert [trial["method"] for trial in first] == list(FEWSHOT)  # each once: there is one source
    drawn = optuna.trial.FixedTrial(first[0])
    assert trial_config(resolved.spec, load_space("fewshot"), drawn).source == SCRATCH
    with pytest.raises(UserError, match="makes more of K images of each class; give --shots K"):
        resolve(home, "few", "fewshot")
    with pytest.raises(
        UserError, match=r"'figr' with 1 in a batch .* 2 workers can't share; give --workers-per-trial 1"
    ):
        resolve(home, "few", "fewshot", shots=3, workers_per_trial=2)


def test_methods_given_few_images_of_each_class_have_the_few_shot_methods_where_sources_have_classes(
    home: Home, tiny_domain: str, new_source: Callable[..., SourceModel]
) -> None:
    classes(home, "few", ("x", "y"))
    new_source("many")
    add(home, "many")  # without classes
    spec = resolve(home, "few", "methods", sources="many", shots=3).spec
    assert (spec.space, spec.domains) == ("methods", ("many",))
    classes(home, "many", ("a", "b", "c", "d"))
    assert resolve(home, "few", "methods", sources="many").spec.space == "methods"
    spec = resolve(home, "few", "methods", sources="many", shots=3, trials=99).spec
    assert (spec.space, spec.domains, spec.base.data.shots) == ("methods_of_few", ("many",), 3)
    assert "class_accuracy" in spec.base.protocol.metrics
    space, made = load_space(spec.space), {}
    for values in first_trials(spec, space):
        config = trial_config(spec, space, optuna.trial.FixedTrial({"optim/lr_g": 1e-3, "optim/lr_d": 1e-3} | values))
        made[config.method] = (config.source, config.data.shots)
    learned = dict.fromkeys(("as_is", "cyclegan", "untranslated", "matchinggan"), ("many", 3))
    assert made == learned | dict.fromkeys(("finetune", "mixture", "augmented"), (SCRATCH, 3))
    study = open_study(home, begin(home, spec))
    ledger = Ledger(*study)
    asked = [ledger.ask() or pytest.fail("nothing to do") for _ in first_trials(spec, space)]
    reference = [(number, config.method) for number, config in asked if ledger.is_reference(number)]
    assert [method for _, method in reference] == ["finetune"]  # and no baseline, which takes no source either
    again = Ledger(*study)
    assert [number for number, _ in asked if again.is_reference(number)] == [number for number, _ in reference]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("name", ["fewshot", "translation"])
def test_methods_that_take_domains_mirror_images_where_the_target_is_of_photos(
    home: Home, name: str, flip: bool
) -> None:
    classes(home, "few", ("x", "y"), flip)
    classes(home, "many", ("a", "b", "c", "d"))
    spec, space = resolve(home, "few", name, **{"shots": 3} if name == "fewshot" else {}).spec, load_space(name)
    learned = [{"source": "many", **values} for values in first_trials(spec, space) if trains(values["method"])]
    configs = [trial_config(spec, space, optuna.trial.FixedTrial(DRAWN | values)) for values in learned]
    assert len(configs) > 1 and {config.training.flip for config in configs} == {flip}
