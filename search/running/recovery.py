"""What a killed process or a damaged disk left undone in a study's journal and evaluations table is made good.

The ledger writes a trial's end to the table first and to the journal after that. So each can lack, or have lost, only what
the other one, or the trial's own checkpoint, still tells.
"""

from typing import Any

from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.records.journal import STATES, Journal
from search.records.results import column_of, is_evaluation, read_rows, score_of, write_trial
from search.records.study import StudyPaths, StudySpec
from search.running.suggested import suggested_config
from spaces.errors import UserError
from spaces.suggest import Space
from trainables.training.checkpoints import forget_fallback, recorded
from trainables.training.trial_files import TrialFiles


def tell_what_ended(journal: Journal, paths: StudyPaths, spec: StudySpec) -> None:
    """Tell the journal of trials whose file has a final status: their process died between the two."""
    for trial in journal.trials(TrialState.RUNNING):
        rows = rows_on_disk(paths, trial.number)
        if rows and rows[-1]["status"] in STATES:
            last = rows[-1]
            journal.score(
                trial.number, {row["images_seen"]: row.get(spec.metric) for row in rows if is_evaluation(row)}
            )
            scores = [score_of(last, name) for name in spec.goals]
            journal.end(trial.number, last["status"], scores, last["error"])
            forget_fallback(_files(paths, trial.number))


def read_finished(
    journal: Journal, paths: StudyPaths, spec: StudySpec, space: Space
) -> dict[int, list[dict[str, Any]]]:
    """The status, arm, images seen and scores of each evaluation of every finished trial, by the trial's number.

    Files that are missing or damaged are written again from the trials' checkpoints.
    """
    columns = (
        "status",
        "source",
        "method",
        "transfer/parts",
        "images_seen",
        "wall_seconds",
        *map(column_of, spec.goals),
    )
    found = {}
    for trial in journal.trials():
        if trial.state.is_finished():
            if not (rows := rows_on_disk(paths, trial.number)):
                _rebuild(trial, paths, spec, space)
                rows = rows_on_disk(paths, trial.number)
            found[trial.number] = [{name: row[name] for name in columns} for row in rows]
    return found


def _rebuild(trial: FrozenTrial, paths: StudyPaths, spec: StudySpec, space: Space) -> None:
    """Write a finished trial's file from its checkpoint and from what the journal says of it."""
    config, _ = suggested_config(spec, space, FixedTrial(trial.params))
    write_trial(
        paths.evaluation(trial.number),
        config,
        study=spec.name,
        trial=trial.number,
        status=trial.user_attrs["status"],
        evaluations=[evaluation.row() for evaluation in recorded(_files(paths, trial.number))],
        error=trial.user_attrs.get("error"),
        retries=trial.user_attrs.get("retries", 0),
    )


def rows_on_disk(paths: StudyPaths, number: int) -> list[dict[str, Any]]:
    """What a trial's file holds; nothing if it is missing or damaged."""
    try:
        return read_rows(paths.evaluation(number))
    except UserError:
        return []


def _files(paths: StudyPaths, number: int) -> TrialFiles:
    return TrialFiles(paths.trial(number), paths.samples(number))
