"""A journal that does not say what the evaluations table says is found before anything is written, and made anew from there.

The table has each trial's whole config beside what was measured, so it can say what the journal said of a trial: its
parameters, its state and its scores. What it can't say is refused, and then nothing on disk has changed.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.records.journal import STATES, DamagedJournalError, is_score, read_trials, write_journal
from search.records.results import config_of, flat_config, is_evaluation, is_final, read_rows, score_of
from search.records.study import StudyPaths, StudySpec
from search.running.suggested import first_trials, suggested_config
from spaces.config import TrialConfig
from spaces.counts import plural
from spaces.errors import UserError
from spaces.suggest import Space
from spaces.trials import DEFAULT_METHOD, takes_source
from trainables.storage.home import writing
from trainables.training.checkpoints import recorded_config
from trainables.training.trial_files import TrialFiles


@dataclass(frozen=True)
class Recorded:
    """What a trial's file says of it."""

    row: Mapping[str, Any]
    """The last one."""
    scores: Mapping[int, float]
    """Those that are numbers, by images seen; none of a study with several goals, of which the journal has none."""
    ends: tuple[float, ...]
    """What its last row has of each goal, as far as those are numbers."""


Table = Mapping[int, Recorded | None]
"""Every trial that has a file, by its number; None if that is damaged."""


def read_table(paths: StudyPaths, goals: Sequence[str] = ()) -> Table:
    """The evaluations table as far as the journal repeats it, of a study with these goals."""
    files = {int(path.stem): path for path in paths.evaluations.glob("[0-9]*.parquet") if path.stem.isdecimal()}
    found: dict[int, Recorded | None] = {}
    for number in sorted(files):
        try:
            rows = read_rows(files[number])
        except UserError:
            found[number] = None
            continue
        own = goals[0] if len(goals) == 1 else ""
        scores = {row["images_seen"]: row.get(own) for row in rows if is_evaluation(row)}
        ends = [score_of(rows[-1], name) for name in goals]
        kept = {images: score for images, score in scores.items() if is_score(score)}
        found[number] = Recorded(rows[-1], kept, tuple(filter(is_score, ends)))
    return found


def mend_journal(paths: StudyPaths, spec: StudySpec, space: Space) -> None:
    """Make the journal anew from the table where it is damaged; says so in a line, and keeps the damaged one beside it.

    UserError, with nothing changed, if the table does not tell what the journal held.
    """
    table = read_table(paths, spec.goals)
    for number, found in table.items():
        if found and (found.row["study"], found.row["trial"]) != (spec.name, number):
            raise UserError(
                f"{paths.evaluation(number)} holds trial {found.row['trial']} of study {found.row['study']!r}, expected trial "
                f"{number} of study {spec.name!r}; put the right file there"
            )
    try:
        trials = read_trials(paths.journal, spec.name, spec.directions)
        for number, found in table.items():
            if found:
                _check(number, trials, found, spec, space)
        for trial in trials:
            if trial.state.is_finished() and not table.get(trial.number):
                _check_checkpoint(trial, paths, spec, space)
    except DamagedJournalError as damage:
        trials = _trials_of(paths, spec, space, table, damage)
        kept = paths.journal.with_name(paths.journal.name + ".damaged")
        if paths.journal.is_file():
            with writing(kept) as beside:
                beside.write_bytes(paths.journal.read_bytes())
        write_journal(paths.journal, spec.name, spec.directions, trials)
        print(
            f"study {spec.name!r}: its journal was damaged ({damage}), and was made anew from the evaluations table; "
            f"the damaged one is kept as {kept}",
            file=sys.stderr,
        )


def check_parameters(trials: Sequence[FrozenTrial], table: Table) -> None:
    """DamagedJournalError unless the journal has every trial of the table, with parameters that its row has too."""
    for number, found in table.items():
        if found is None:
            continue
        if number >= len(trials):
            raise DamagedJournalError(f"it lacks trial {number}, which has been evaluated")
        # a suggestion that was no config has the base's row
        params = trials[number].params if is_evaluation(found.row) else {}
        for name, value in params.items():
            if name == "source" and not takes_source(found.row.get("method") or DEFAULT_METHOD):
                continue  # it means nothing there, and no config has it
            if name in found.row and found.row[name] != value:
                raise DamagedJournalError(f"trial {number} has {name}={value} there, {found.row[name]} in its rows")


def _check(number: int, trials: Sequence[FrozenTrial], found: Recorded, spec: StudySpec, space: Space) -> None:
    """DamagedJournalError unless the journal's trial of that number can be the one whose rows were found."""
    check_parameters(trials, {number: found})
    trial, row = trials[number], found.row
    config, error = suggested_config(spec, space, FixedTrial(trial.params))
    if (error and row["status"] != "failed") or not _is_config_of(config, row):
        raise DamagedJournalError(f"trial {number} has another configuration there than in its rows")
    if trial.state is TrialState.WAITING:
        raise DamagedJournalError(f"trial {number}, which has been evaluated, has not begun there")
    retries = trial.user_attrs.get("retries", 0) - (row.get("retries") or 0)
    if not 0 <= retries <= 1:  # one more, if the process was killed between the two
        lost = plural(trial.user_attrs.get("retries", 0), "time")
        raise DamagedJournalError(f"trial {number} was lost {lost} there, {row.get('retries')} in its rows")
    if not trial.state.is_finished():
        return
    status = row["status"]
    if STATES.get(status) is not trial.state or trial.user_attrs.get("status", status) != status:
        raise DamagedJournalError(f"trial {number} is {trial.state.name} there, {status} in its rows")
    if trial.state is TrialState.COMPLETE and tuple(trial.values or ()) != found.ends:
        raise DamagedJournalError(f"trial {number} has another score there than in its rows")
    if trial.state is TrialState.PRUNED and list(trial.values or ()) != _last(trial.intermediate_values):
        raise DamagedJournalError(f"trial {number} has another score there than at its last step")


def _check_checkpoint(trial: FrozenTrial, paths: StudyPaths, spec: StudySpec, space: Space) -> None:
    """DamagedJournalError unless a trial's file, which is lost, can be written again from its checkpoint and the journal."""
    config, error = suggested_config(spec, space, FixedTrial(trial.params))
    trained = recorded_config(TrialFiles(paths.trial(trial.number), paths.samples(trial.number)))
    if trained not in (None, config) or (error and trial.user_attrs.get("status") != "failed"):
        raise DamagedJournalError(f"trial {trial.number} has another configuration there than in its checkpoint")


def _is_config_of(config: TrialConfig, row: Mapping[str, Any]) -> bool:
    flat = flat_config(config)
    if all(row.get(name) == value for name, value in flat.items()):
        return True
    try:
        return config_of(row) == config  # an earlier version had fewer fields
    except UserError:
        return False


def _trials_of(
    paths: StudyPaths, spec: StudySpec, space: Space, table: Table, damage: DamagedJournalError
) -> list[FrozenTrial]:
    """Every trial as the table has it, and between and after those the planned ones that have not begun."""

    def refused(why: str) -> UserError:
        return UserError(
            f"study {spec.name!r}: {paths.journal} is damaged ({damage}), and can't be made anew from the evaluations table: "
            f"{why}; nothing was changed, so put a backup of it there, or start a new study with another --name"
        )

    begun = {int(path.name) for path in paths.trial(0).parent.glob("[0-9]*") if path.name.isdecimal()}
    if lost := sorted({*begun, *table} - {number for number, found in table.items() if found}):
        raise refused(f"{paths.evaluation(lost[0])} is missing or damaged too")
    planned = first_trials(spec, space)
    trials = []
    for number in range(max([len(planned) - 1, *table]) + 1):
        found = table.get(number)
        try:
            trials.append(_trial_of(found, spec, space) if found else _waiting(planned[number : number + 1]))
        except (UserError, ValueError) as error:
            raise refused(f"trial {number} is none of this study's space ({error})") from None
    return trials


def _trial_of(found: Recorded, spec: StudySpec, space: Space) -> FrozenTrial:
    """The trial that left these rows; UserError if the space can't have suggested its config."""
    row, config = found.row, config_of(found.row)
    fixed, error = _parameters_of(config, spec, space)
    status = row["status"]
    known = {"status": status if is_final(status) else None, "error": row["error"], "retries": row.get("retries")}
    state = STATES.get(status, TrialState.RUNNING)
    return optuna.trial.create_trial(
        state=state,
        values=_told(state, found),
        params={} if error else fixed.params,
        distributions={} if error else fixed.distributions,
        user_attrs={name: value for name, value in known.items() if value},
        intermediate_values=dict(found.scores),
    )


def _parameters_of(config: TrialConfig, spec: StudySpec, space: Space) -> tuple[FixedTrial, str | None]:
    """What the space suggested for a config, and what was wrong with that, if the config is the base for want of another.

    Of a method that takes no source, which one was suggested is told by no row: the first one that leads to it is taken.
    """
    others = () if takes_source(config.method) else (*spec.domains, *spec.sources)
    refused: str | None = None
    for source in (config.source, *others):
        fixed = FixedTrial(flat_config(config) | {"source": source})
        suggested, error = suggested_config(spec, space, fixed)
        if suggested == config:
            return fixed, error
        refused = refused or error
    raise UserError(refused or "it suggests another configuration for those parameters")


def _told(state: TrialState, found: Recorded) -> list[float] | None:
    """The scores of an ended trial as Optuna's `tell` keeps them."""
    if state is TrialState.COMPLETE:
        return list(found.ends)
    return _last(found.scores) or None if state is TrialState.PRUNED else None


def _last(scores: Mapping[int, float]) -> list[float]:
    return [scores[max(scores)]] if scores else []


def _waiting(parameters: Sequence[Mapping[str, Any]]) -> FrozenTrial:
    """A trial that is asked for before any new one; with these parameters, if there are any."""
    fixed = dict(parameters[0]) if parameters else {}
    return optuna.trial.create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": fixed})
