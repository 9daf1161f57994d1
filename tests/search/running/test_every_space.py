"""Every trial that a builtin space can suggest is found again when its study is opened anew, by its journal or by its rows."""

from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from search.proposals import check_choices
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from spaces.config import Data
from spaces.protocol import Protocol
from spaces.suggest import SPACES
from spaces.trials import DEFAULT_METHOD, takes_domains, takes_source

New = Callable[..., tuple[StudyPaths, StudySpec]]

DOMAIN, ENDED = "rings", (TrialState.COMPLETE,)


def study_of(new_study: New, name: str) -> tuple[StudyPaths, StudySpec]:
    """A study by that space, whose one source is both a model and a domain; nothing reads its images or its weights."""
    paths, spec = new_study()
    space = SPACES[name]
    learned = {"sources": (DOMAIN,), "domains": (DOMAIN,) if any(map(takes_domains, space.methods)) else ()}
    network = spec.base.network.model_copy(update={"classes": 2} if space.conditional else {})  # type: ignore[attr-defined]
    data = Data(shots=3) if "fewshot" in name or "of_few" in name else spec.base.data
    protocol = Protocol(metrics=("fd",), extractor="random_convnet")
    base = spec.base.model_copy(update={"network": network, "data": data, "protocol": protocol})
    many = {"space": name, "trials": 2 * len(space.methods), "sampler": "random", "base": base}
    return paths, spec.model_copy(update=learned | many)


def each_method_tried(ledger: Ledger) -> set[str]:
    """One trial of every method of the space, ended, and which those were; one that varies nothing else has its source."""
    for method in ledger.space.methods:
        ledger.study.enqueue_trial({"source": DOMAIN, "method": method}, skip_if_exists=False)
    found = set()
    while asked := ledger.ask():
        number, config = asked
        found.add(config.method)
        ledger.record(number, config, {"images_seen": 8, "iterations": 1, "fd": 9.0 + number, "status": "running"})
        ledger.finish(number, config, "completed")
    return found


@pytest.mark.parametrize("name", SPACES)
def test_a_study_goes_on_after_trials_of_every_method_of_its_space(
    new_study: New, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, spec = study_of(new_study, name)
    check_choices(spec, SPACES[name])
    assert each_method_tried(Ledger(paths, spec)) == {*SPACES[name].methods}
    before = paths.journal.read_bytes()
    Ledger(paths, spec)
    assert (capsys.readouterr().err, paths.journal.read_bytes()) == ("", before)


@pytest.mark.parametrize("name", [name for name, space in SPACES.items() if len(space.methods) > 1])
def test_a_lost_journal_is_made_anew_from_the_rows_of_every_method(new_study: New, name: str) -> None:
    paths, spec = study_of(new_study, name)
    ledger = Ledger(paths, spec)
    each_method_tried(ledger)
    before = ledger.study.get_trials(states=ENDED)
    paths.journal.unlink()
    after = Ledger(paths, spec).study.get_trials(states=ENDED)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        told, now = dict(one.params), dict(other.params)
        if not takes_source(told.get("method", DEFAULT_METHOD)):  # any that the space offers there does
            told["source"] = now["source"] = DOMAIN
        assert (other.state, other.values, now) == (one.state, one.values, told)
