"""What a study of a home begins from: earlier trials of it, which a search goes by unless told otherwise."""

from typing import Any

import pytest

from search.launch import begin, resolve_study
from search.prior import prior_of, write_prior
from search.proposals import load_space
from search.records.results import write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from search.running.ledger import Ledger
from search.running.suggested import first_trials
from spaces.errors import UserError
from spaces.trials import parse_trial
from trainables.storage.home import Home

MEASURED = {
    "extractor": "efficientnet_lite0",
    "input_size": 64,
    "resizer": "r",
    "split": "train",
    "n_fake": 1_000,
    "metric_seed": 0,
}


def study_of(home: Home, name: str, count: int, **settings: Any) -> StudySpec:
    """A study of domain dots with that many trials."""
    known = {"name": name, "sources": "seed-7", "max_images": 900, "concurrency": 1, "threads_per_trial": 1}
    spec = resolve_study(home, "dots", "quickstart", **known | settings).spec
    write_spec(paths := StudyPaths.of(home, name), spec)
    for number in range(count):
        source, parts = [("scratch", "none"), ("seed-7", "both")][number % 2]
        rates = {"lr_g": 1e-3 * (1 + number / 10), "lr_d": 1e-3}
        values = spec.base.model_dump() | {"source": source, "transfer": {"parts": parts}}
        values["optim"] |= rates
        rows = [
            {"images_seen": n, "fd": 9e4 / n, "iterations": n, "wall_seconds": n / 10, **MEASURED} for n in (300, 900)
        ]
        config = parse_trial(values, "test")
        write_trial(paths.evaluation(number), config, study=name, trial=number, status="completed", evaluations=rows)
    return spec


@pytest.mark.usefixtures("tiny_domain", "tiny_source")
def test_a_search_goes_by_transfer_and_by_curves_unless_told_otherwise_or_where_the_model_knows_too_little(
    home: Home,
) -> None:
    def ways(space: str = "quickstart", **settings: Any) -> tuple[str, str, bool]:
        known = {"sources": "seed-7", "max_images": 900, "name": "new"} | settings
        found = resolve_study(home, "dots", space, **known)
        said = "9 earlier trials, of 2 studies, were measured alike: the search goes by them"
        return found.spec.sampler, found.spec.stopping, any(note.startswith(said) for note in found.notes)

    assert ways() == ("transfer", "curves", False)
    study_of(home, "one", 8)
    study_of(home, "two", 1)
    assert ways() == ("transfer", "curves", True)
    assert ways("methods") == ("transfer", "curves", True)
    assert ways(metric="kd") == ("tpe", "asha", False), "no ratio"
    assert ways(metric="fd,iw")[0] == "tpe", "a front"
    assert ways("limited_data") == ("tpe", "asha", False), "settings that the model does not know"
    assert ways(sampler="tpe") == ("tpe", "asha", False)
    assert ways(sampler="transfer") == ("transfer", "curves", True)
    assert ways(stopping="asha") == ("transfer", "asha", True)
    assert ways(early_stopping=False) == ("transfer", "asha", True)


@pytest.mark.usefixtures("tiny_domain", "tiny_source")
def test_a_study_that_has_begun_stays_as_it_is_whatever_is_known_since(home: Home) -> None:
    asked = {"sources": "seed-7", "max_images": 900, "name": "new"}
    begin(home, resolve_study(home, "dots", "quickstart", **asked, sampler="tpe").spec)
    study_of(home, "one", 8)
    other = resolve_study(home, "dots", "quickstart", **asked | {"name": "other"}).spec
    assert (other.sampler, other.stopping) == ("transfer", "curves")
    again = resolve_study(home, "dots", "quickstart", **asked).spec
    assert (again.sampler, again.stopping, begin(home, again)) == ("tpe", "asha", "new")
    with pytest.raises(UserError, match="is there already with another sampler"):
        begin(home, resolve_study(home, "dots", "quickstart", **asked, sampler="transfer").spec)


@pytest.mark.usefixtures("tiny_domain", "tiny_source")
def test_a_search_by_what_is_known_begins_with_the_nearest_sources_as_its_space_would(home: Home) -> None:
    spec = study_of(home, "one", 0, sampler="transfer")
    of_five = spec.model_copy(update={"sources": ["e", "c", "a", "b", "d"], "trials": 20})
    quickstart = load_space("quickstart")
    first = first_trials(of_five, quickstart)
    assert [each["source"] for each in first] == ["e", "c", "a"]
    tpe = first_trials(of_five.model_copy(update={"sampler": "tpe"}), quickstart)
    assert [each for each in tpe if each in first] == first and len({each["source"] for each in tpe}) == 6


@pytest.mark.usefixtures("tiny_domain", "tiny_source")
def test_a_study_keeps_going_by_what_it_began_from(home: Home) -> None:
    study_of(home, "one", 8)
    spec = study_of(home, "new", 0, sampler="transfer")
    paths = StudyPaths.of(home, "new")
    write_prior(home, paths, spec)
    before = prior_of(spec, paths)
    study_of(home, "two", 4)
    write_prior(home, paths, spec)
    assert len(before.cases) == len(prior_of(spec, paths).cases) == 8
    assert before.seconds("finetune") == 90


@pytest.mark.usefixtures("tiny_domain", "tiny_source")
@pytest.mark.slow
def test_a_ledger_that_is_opened_again_asks_for_what_it_would_have_asked_for(home: Home) -> None:
    study_of(home, "one", 8)
    found = []
    for name, reopen in (("a", False), ("b", True)):
        spec = study_of(home, name, 0, sampler="transfer", trials=4)
        paths = StudyPaths.of(home, name)
        if name == "a":
            write_prior(home, paths, spec)
        else:
            paths.prior.write_bytes(StudyPaths.of(home, "a").prior.read_bytes())
        ledger = Ledger(paths, spec)
        while (asked := ledger.ask()) is not None:
            number, config = asked
            row = {"images_seen": 900, "fd": 100.0 + number, "iterations": 9, "wall_seconds": 9.0, **MEASURED}
            ledger.record(number, config, row)
            ledger.finish(number, config, "completed")
            ledger = Ledger(paths, spec) if reopen else ledger
        found.append([trial.params for trial in ledger.study.trials])
    assert len(found[0]) == 4 and found[0] == found[1]
    assert found[0][0]["source"] == "seed-7"  # all else equal, the model expects transfer to help


@pytest.mark.usefixtures("tiny_domain", "tiny_source")
def test_what_is_damaged_of_what_a_study_began_from_is_named_or_left_out(home: Home) -> None:
    spec, paths = study_of(home, "one", 0), StudyPaths.of(home, "one")
    paths.ranking.write_text('{"rows": [{"source": "seed-7", "parts": []}]}')
    assert prior_of(spec, paths)
    paths.prior.write_bytes(b"no parquet")
    with pytest.raises(
        UserError, match=r"prior.parquet is not a readable Parquet file \(.*\); remove it, and `resume`"
    ):
        prior_of(spec, paths)
