"""A study goes on to more trials than it was begun with."""

from search.proposals import check_varied, grid, load_space
from search.records.study import StudyPaths, StudySpec, closed, write_spec
from spaces.errors import UserError


def raised(paths: StudyPaths, spec: StudySpec, trials: int) -> StudySpec:
    """Give the spec with so many trials in all, and write it down: whoever opens the study's ledger then owes the rest of them.

    The caller holds the study's lock. UserError if that is fewer than it has, if something else than their number ends the
    study, or if there are no more to try.
    """
    where = f"--trials {trials}: study {spec.name!r}"
    if spec.trials is None:
        raise UserError(f"{where} has no number of trials but other limits; leave --trials out, or begin another study")
    if why := closed(paths):
        raise UserError(f"{where} is over, as {why}; begin another study with another --name")
    if trials < spec.trials:
        raise UserError(f"{where} has {spec.trials} already; give how many it should have in all, at least as many")
    if trials == spec.trials:
        return spec
    more = StudySpec.parse(spec.model_dump() | {"trials": trials}, "--trials")
    space = load_space(spec.space)
    if spec.sampler == "grid" and trials > (cells := len(grid(more, space))):
        raise UserError(f"{where} has a grid of {cells} cells; give --trials {cells}")
    check_varied(more, space)
    write_spec(paths, more)
    return more
