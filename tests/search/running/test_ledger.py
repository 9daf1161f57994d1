import os
import signal
from collections.abc import Callable

import optuna
import pytest
from optuna.trial import TrialState
from torch import Tensor

from search.records.results import load, row_columns, write_trial
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from spaces.config import TrialConfig
from trainables.networks.models import Model
from trainables.training.checkpoints import save
from trainables.training.loop import Evaluation
from trainables.training.trial_files import TrialFiles

New = Callable[..., tuple[StudyPaths, StudySpec]]


def reopened(study: tuple[StudyPaths, StudySpec]) -> Ledger:
    """The ledger as a new process finds it."""
    return Ledger(*study)


def row(images: int, fd: float) -> dict[str, object]:
    return {"images_seen": images, "fd": fd, "status": "running", "pid": 7}


def states(ledger: Ledger) -> list[TrialState]:
    return [trial.state for trial in ledger.study.get_trials() if trial.state is not TrialState.WAITING]


def statuses(paths: StudyPaths) -> dict[int, str]:
    return {item["trial"]: item["status"] for item in load(paths.evaluations).to_pylist()}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("completed", TrialState.COMPLETE),
        ("stopped", TrialState.PRUNED),
        ("diverged", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
    ],
)
def test_journal_and_table_say_how_a_trial_ended(new_study: New, status: str, state: TrialState) -> None:
    study = new_study()
    ledger = reopened(study)
    number, config = ledger.ask()
    ledger.record(number, config, row(8, 3.0))
    ledger.finish(number, config, status)  # type: ignore[arg-type]
    assert states(ledger) == [state]
    assert statuses(study[0]) == {0: status}
    assert ledger.study.trials[0].intermediate_values == {8: 3.0}


def test_each_source_then_scratch_comes_first(new_study: New) -> None:
    ledger = reopened(new_study())
    assert [ledger.ask()[1].source for _ in range(2)] == ["seed-7", "scratch"]


def test_a_grid_is_run_cell_by_cell(new_study: New, grid_code: str) -> None:
    ledger = reopened(new_study(grid_code, sampler="grid", trials=None))
    asked = [ledger.ask()[1] for _ in range(6)]
    assert len({(c.source, c.transfer.parts, c.seed) for c in asked}) == 6


def test_an_unfinished_trial_comes_back_with_its_config_before_any_new_one(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    asked = [ledger.ask(), ledger.ask()]
    again = reopened(study)
    assert again.to_do == 4
    assert [again.ask(), again.ask()] == asked
    assert again.ask()[0] == 2


def test_a_replayed_evaluation_is_noted_once(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    number, config = ledger.ask()
    ledger.record(number, config, row(8, 3.0))
    ledger = reopened(study)
    assert ledger.ask() == (number, config)
    for images, fd in ((8, 3.0), (16, 2.0)):
        ledger.record(number, config, row(images, fd))
    ledger.finish(number, config, "completed")
    assert [item["images_seen"] for item in load(study[0].evaluations).to_pylist()] == [8, 16]
    assert ledger.study.trials[0].value == 2.0


def test_an_evaluation_that_had_to_be_trained_again_replaces_the_other(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    number, config = ledger.ask() or pytest.fail("nothing to do")
    assert ledger.record(number, config, row(8, 3.0))
    assert not ledger.record(number, config, row(8, 3.0))
    assert ledger.record(number, config, row(8, 3.0) | {"note": "checkpoint-1.safetensors damaged: started anew"})
    (found,) = load(study[0].evaluations).to_pylist()
    assert found["note"] == "checkpoint-1.safetensors damaged: started anew"


def test_losses_of_a_trial_s_process_are_counted_over_runs(new_study: New) -> None:
    study = new_study()
    for _ in range(2):
        ledger = reopened(study)
        number, config = ledger.ask() or pytest.fail("nothing to do")
        ledger.retried(number, config)
    ledger.finish(number, config, "failed", "lost")
    assert [item["retries"] for item in load(study[0].evaluations).to_pylist()] == [2]
    assert ledger.study.trials[0].user_attrs == {"retries": 2, "status": "failed", "error": "lost"}


def test_a_score_that_the_journal_lacks_is_made_good(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    number, config = ledger.ask() or pytest.fail("nothing to do")
    write_trial(
        study[0].evaluation(number),
        config,
        study="s",
        trial=number,
        status="running",
        evaluations=[row_columns(row(8, 3.0))],
    )  # and then the driver was killed
    ledger = reopened(study)
    ledger.ask()
    assert ledger.study.trials[0].intermediate_values == {8: 3.0}


def test_a_driver_that_died_between_table_and_journal_is_made_good(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    number, config = ledger.ask()
    ledger.record(number, config, row(8, 3.0))
    ledger._enter(number, config, "stopped", None)  # the first of the two, and then the process was killed
    ledger = reopened(study)
    assert states(ledger) == [TrialState.PRUNED]
    assert ledger.ask()[0] == 1


def test_a_torn_line_and_a_stale_lock_do_not_stop_a_resume(new_study: New) -> None:
    study = new_study()
    reopened(study).ask()
    journal = study[0].journal
    lock = journal.with_name(journal.name + ".lock")
    lock.symlink_to(journal)
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    ledger = reopened(study)
    assert ledger.ask()[0] == 0
    assert not lock.is_symlink()


def test_an_interrupt_while_the_journal_s_lock_is_given_back_comes_after_it(
    new_study: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study()
    ledger, unlink = reopened(study), os.unlink

    def pressed(path: str) -> None:
        monkeypatch.setattr(os, "unlink", unlink)
        unlink(path)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(os, "unlink", pressed)
    with pytest.raises(KeyboardInterrupt):
        ledger.ask()
    assert not list(study[0].root.glob("optuna.journal.lock*"))
    assert reopened(study).ask()


def test_a_score_that_is_not_a_number_is_no_value(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    number, config = ledger.ask()
    ledger.record(number, config, row(8, float("nan")))
    assert ledger.finish(number, config, "completed") == ("failed", "its last evaluation has fd nan, which is no score")
    assert states(ledger) == [TrialState.FAIL]
    assert statuses(study[0]) == {0: "failed"}
    assert ledger.study.trials[0].intermediate_values == {}


def test_to_do_counts_down_to_nothing(new_study: New) -> None:
    ledger = reopened(new_study())
    counts = []
    for _ in range(4):
        number, config = ledger.ask()
        ledger.finish(number, config, "failed", "why")
        counts.append(ledger.to_do)
    assert counts == [3, 2, 1, 0]


def test_optuna_reads_the_journal_by_itself(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    ledger.finish(*ledger.ask(), "failed")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(study[0].journal)))
    (trial,) = optuna.load_study(study_name="s", storage=storage).get_trials(states=(TrialState.FAIL,))
    assert trial.user_attrs == {"status": "failed"}


@pytest.mark.slow
def test_with_one_trial_at_a_time_the_same_spec_gives_the_same_trials(new_study: New) -> None:
    def configs(name: str) -> list[TrialConfig]:
        ledger = reopened(new_study(name=name, trials=12))
        asked = []
        for step in range(12):
            number, config = ledger.ask()
            ledger.record(number, config, row(8, float(step)))
            ledger.finish(number, config, "completed")
            asked.append(config)
        return asked

    assert configs("one") == configs("two")


SOMETIMES = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["seed-7", "scratch"])
    trial.suggest_categorical("transfer/parts", ["both"])
"""


def test_a_draw_that_is_no_config_fails_alone_and_is_not_asked_for_again(new_study: New) -> None:
    study = new_study(SOMETIMES, seed=2, trials=6, sampler="tpe")  # "scratch" with parts "both" is refused
    ledger, configs = reopened(study), []
    while asked := ledger.ask():
        configs.append(asked[1])
        ledger.finish(*asked, "completed")
    assert {config.source for config in configs} == {"seed-7"}
    assert ledger.to_do == 0
    errors = {item["error"] for item in load(study[0].evaluations).to_pylist() if item["status"] == "failed"}
    assert any("source 'scratch' has nothing to transfer" in str(error) for error in errors)
    before = load(study[0].evaluations).to_pylist()
    next(study[0].evaluation(row["trial"]) for row in before if row["status"] == "failed").unlink()
    assert reopened(study).ask() is None
    assert load(study[0].evaluations).to_pylist() == before


def test_taking_a_trial_up_again_keeps_the_rows_that_it_had(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    number, config = ledger.ask() or pytest.fail("nothing to do")
    ledger.record(number, config, row(8, 3.0))
    reopened(study).ask()
    assert [item["images_seen"] for item in load(study[0].evaluations).to_pylist()] == [8]


class _Untrained:
    """As much of a learner as a checkpoint takes."""

    def model(self) -> Model:
        return Model({}, {})

    def state_dict(self) -> dict[str, Tensor]:
        return {}


def test_a_lost_file_of_a_finished_trial_comes_back_from_its_checkpoint(new_study: New) -> None:
    study = new_study()
    ledger = reopened(study)
    number, config = ledger.ask() or pytest.fail("nothing to do")
    evaluation = Evaluation("completed", 32, 4, 1.0, 2.0, {"loss_d": 1.0}, {"fd": 5.0}, {"n_fake": 24})
    save(_Untrained(), TrialFiles(study[0].trial(number), study[0].samples(number)), [evaluation], config)
    ledger.record(number, config, evaluation.row())
    ledger.finish(number, config, "completed")
    before = load(study[0].evaluations).to_pylist()
    study[0].evaluation(number).write_bytes(b"PAR1 and then nothing")
    reopened(study)
    assert load(study[0].evaluations).to_pylist() == before


def test_the_first_trial_from_scratch_is_the_reference(new_study: New) -> None:
    ledger = reopened(new_study())
    asked = [ledger.ask() or pytest.fail("nothing to do") for _ in range(4)]
    scratch = [number for number, config in asked if config.source == "scratch"]
    assert [number for number, _ in asked if ledger.is_reference(number)] == scratch[:1]


@pytest.mark.parametrize("suggested", [0, 1])
def test_a_kill_while_a_trial_is_suggested_changes_no_reference(new_study: New, suggested: int) -> None:
    """Of the space's parameters the source, which comes last, was not noted yet."""
    study = new_study(LAST)
    begun = reopened(study)._journal.ask()
    for _ in range(suggested):
        begun.suggest_float("optim/lr_g", 1e-4, 1e-3, log=True)
    ledger = reopened(study)
    asked = [ledger.ask() or pytest.fail("nothing to do") for _ in range(2)]
    assert [config.source for _, config in asked] == ["seed-7", "scratch"]
    assert [number for number, _ in asked if ledger.is_reference(number)] == [1]
    again = reopened(study)
    assert [number for number, _ in asked if again.is_reference(number)] == [1]


LAST = """
def space(trial, *, sources, train_images):
    trial.suggest_float("optim/lr_g", 1e-4, 1e-3, log=True)
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_categorical("source", [*sources, "scratch"])
"""
