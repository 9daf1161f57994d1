import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from search.launch import resolve_study
from search.picking.arms import SCRATCH_ARM, Arm
from search.picking.evidence import Evidence, gather
from search.records.results import Status, write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.trials import parse_trial
from trainables.images.domains import write_domain
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

MEASURED = {
    "extractor": "efficientnet_lite0",
    "input_size": 64,
    "resizer": "r",
    "split": "train",
    "n_fake": 24,
    "metric_seed": 0,
}


@pytest.fixture
def study(home: Home, tiny_domain: str, tiny_source: SourceModel) -> Callable[..., StudySpec]:
    """Writes a study of domain dots, source seed-7, with a budget of 900 images, and no trial."""

    def make(name: str, **settings: Any) -> StudySpec:
        spec = resolve_study(
            home, "dots", "quickstart", **{"name": name, "sources": "seed-7", "max_images": 900} | settings
        ).spec
        spec = spec.model_copy(update={"ranking": {"seed-7": 50.0}})
        write_spec(StudyPaths.of(home, name), spec)
        return spec

    return make


def tried(
    home: Home,
    spec: StudySpec,
    number: int,
    curve: dict[int, float],
    source: str = "scratch",
    status: Status = "completed",
    measured: dict[str, Any] = MEASURED,
) -> TrialConfig:
    """A trial with these scores by images seen."""
    parts = "none" if source == "scratch" else "generator"
    values = spec.base.model_dump() | {"source": source, "seed": number, "transfer": {"parts": parts}}
    config = parse_trial(values, "test")
    rows = [{"images_seen": n, "fd": fd, "wall_seconds": n / 10, **measured} for n, fd in curve.items()]
    path = StudyPaths.of(home, spec.name).evaluation(number)
    write_trial(path, config, study=spec.name, trial=number, status=status, evaluations=rows)
    return config


def only(found: tuple[list[Evidence], list[str]]) -> Evidence:
    (evidence,), notes = found
    assert notes == []
    return evidence


def scores(evidence: Evidence) -> Sequence[float]:
    return [pytest.approx(one.score) for one in evidence.tried]


def test_a_trial_is_its_last_score_and_its_whole_config(home: Home, study: Callable[..., StudySpec]) -> None:
    spec = study("s")
    config = tried(home, spec, 0, {300: 90.0, 900: 40.0}, source="seed-7")
    evidence = only(gather(home))
    (one,) = evidence.tried
    assert (one.score, one.arm, one.target, one.seconds, one.carried) == (
        pytest.approx(40),
        Arm.finetuned("seed-7", "generator"),
        "dots",
        90,
        False,
    )
    assert one.config == config
    assert evidence.rankings == {"dots": {"seed-7": 50.0}}
    assert evidence.bench.images == 900


def test_a_stopped_trial_is_carried_on_by_the_progress_of_those_that_went_on(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    tried(home, spec, 0, {300: 100.0, 900: 50.0})
    tried(home, spec, 1, {300: 80.0, 900: 20.0})
    tried(home, spec, 2, {300: 200.0}, status="stopped")
    evidence = only(gather(home))
    assert scores(evidence) == [50, 20, 200 * math.sqrt(50 / 100 * 20 / 80)]
    assert [one.carried for one in evidence.tried] == [False, False, True]


def test_a_stopped_trial_that_nobody_went_beyond_has_no_score(home: Home, study: Callable[..., StudySpec]) -> None:
    spec = study("s")
    tried(home, spec, 0, {300: 100.0}, status="stopped")
    assert only(gather(home)).tried == []


def test_what_diverged_is_counted_and_has_no_score(home: Home, study: Callable[..., StudySpec]) -> None:
    spec = study("s")
    tried(home, spec, 0, {300: 100.0, 900: 50.0})
    tried(home, spec, 1, {300: 10.0}, source="seed-7", status="diverged")
    tried(home, spec, 2, {}, source="seed-7", status="failed")
    evidence = only(gather(home))
    assert scores(evidence) == [50]
    assert dict(evidence.dead) == {("dots", Arm.finetuned("seed-7", "generator")): 2}


@pytest.mark.parametrize(
    "other", [{"n_fake": 48}, {"extractor": "other"}, {"metric_seed": 1}, {"split": "val"}, {"resizer": "q"}]
)
def test_rows_of_another_protocol_are_evidence_of_their_own(
    home: Home, study: Callable[..., StudySpec], other: dict[str, Any]
) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    tried(home, study("t"), 0, {900: 60.0}, measured=MEASURED | other)
    assert sorted(one.score for evidence in gather(home)[0] for one in evidence.tried) == [
        pytest.approx(50),
        pytest.approx(60),
    ]
    assert len(gather(home)[0]) == 2


def test_another_budget_is_evidence_of_its_own(home: Home, study: Callable[..., StudySpec]) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    tried(home, study("t", max_images=1800), 0, {900: 55.0, 1800: 45.0})
    assert {evidence.bench.images for evidence in gather(home)[0]} == {900, 1800}


def test_trials_of_a_domain_that_was_replaced_are_not_of_the_new_one(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    tried(home, spec, 0, {900: 50.0})
    path = home.domain("dots")
    from trainables.images.domains import Domain

    domain = Domain.open(path)
    write_domain(path, domain.images[::-1].copy(), domain.labels, domain.is_val, origin="test", resizer="none")
    (name,) = only(gather(home)).targets
    assert name == f"dots@{spec.digests['domain:dots'][:8]}"


def test_a_study_that_can_not_be_read_is_noted_and_refused_by_name(home: Home, study: Callable[..., StudySpec]) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    study("torn")
    StudyPaths.of(home, "torn").spec.write_text("{")
    found, notes = gather(home)
    assert scores(found[0]) == [50]
    assert len(notes) == 1 and "torn" in notes[0]
    with pytest.raises(UserError, match="torn"):
        gather(home, ["torn"])


def test_scratch_and_nothing_transferred_are_one_arm(home: Home, study: Callable[..., StudySpec]) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    assert only(gather(home)).tried[0].arm == SCRATCH_ARM
