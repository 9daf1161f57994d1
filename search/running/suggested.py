"""What a study's space suggests: how its first trials are planned, and the config of each trial."""

from collections.abc import Sequence
from typing import Any

from search.proposals import grid, probe, trial_config
from search.records.study import StudySpec
from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from spaces.suggest import Space
from spaces.trials import DEFAULT_METHOD, takes_domains, takes_source
from trainables.storage.home import StorageError
from trainables.storage.store import StoreError

NEAREST = 3
"""Sources that a search by what is known of transfer tries before it proposes (benchmarks.search_efficiency has why)."""


def first_trials(spec: StudySpec, space: Space) -> list[dict[str, Any]]:
    """The parameters, or some of them, of the trials that come first: all cells of a grid, which is planned whole.

    Any other search first tries each source once, in the order of the spec, and then training from scratch, with what the
    space names for that. One by what is known of transfer stops after the NEAREST sources: the rest it weighs like anything
    else.
    """
    if spec.sampler == "grid":
        return grid(spec, space)[: spec.trials]
    first = planned(spec, space)
    return (_nearest(first) if spec.sampler == "transfer" else first)[: spec.trials]


def _nearest(planned: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each of the NEAREST sources what is planned of it first."""
    of_source: dict[Any, dict[str, Any]] = {}
    for parameters in planned:
        of_source.setdefault(parameters["source"], parameters)
    return [parameters for source, parameters in of_source.items() if source != SCRATCH][:NEAREST]


def planned(spec: StudySpec, space: Space) -> list[dict[str, Any]]:
    """What the space would have tried first, of each source and from scratch."""
    _, trial = probe(spec, space)
    choices = getattr(trial.distributions.get("source"), "choices", spec.domains)
    found: list[dict[str, Any]] = []
    for source in choices:
        for values in space.scratch_first if source == SCRATCH else space.transfer_first:
            method = values.get("method", DEFAULT_METHOD)
            if takes_domains(method) and not spec.domains:
                continue
            if takes_source(method) or all(dict(values).items() - each.items() for each in found):
                found.append({"source": source, **values})
    return found


def suggested_config(spec: StudySpec, space: Space, trial: Any) -> tuple[TrialConfig, str | None]:
    """An Optuna trial's config; or the study's base, to have something to write, and what is wrong with the suggestion.

    StorageError if what is suggested can't be noted: nothing is wrong with it then.
    """
    try:
        return trial_config(spec, space, trial), None
    except (StorageError, StoreError):
        raise
    except UserError as error:
        return spec.base, str(error)
