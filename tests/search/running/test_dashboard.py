from collections.abc import Callable

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta
from optuna.storages import JournalStorage

from search.records.study import StudyPaths, StudySpec
from search.running import dashboard
from search.running.dashboard import ReadOnlyJournal
from search.running.ledger import Ledger
from spaces.errors import UserError

New = Callable[..., tuple[StudyPaths, StudySpec]]


def test_a_journal_that_grows_is_shown_and_can_not_be_written(new_study: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "REFRESH_SECONDS", 0.0)
    paths, spec = new_study()
    ledger = Ledger(paths, spec)
    shown = JournalStorage(ReadOnlyJournal(paths.journal))
    study = optuna.load_study(storage=shown, study_name=spec.name)
    for count in (1, 2):
        assert ledger.ask() is not None
        assert sum(trial.state.name == "RUNNING" for trial in study.get_trials()) == count
    before = paths.journal.read_bytes()
    with pytest.raises(PermissionError, match="nothing is changed"):
        optuna.delete_study(storage=shown, study_name=spec.name)
    assert paths.journal.read_bytes() == before


def test_the_last_grid_of_a_trial_is_beside_it(new_study: New) -> None:
    paths, spec = new_study()
    ledger = Ledger(paths, spec)
    number, config = ledger.ask() or pytest.fail("nothing to do")
    paths.samples(number).mkdir(parents=True)
    for images in (8, 16):
        (paths.samples(number) / f"{images:09d}.png").write_bytes(b"PNG of %d" % images)
    (paths.samples(number) / "000000024.png").symlink_to("/proc/nowhere/grid.png")
    ledger.record(number, config, {"images_seen": 16, "fd": 3.0})
    ledger.finish(number, config, "completed")
    ledger.finish(*(ledger.ask() or pytest.fail("nothing to do")), "failed", "why")  # which drew nothing
    storage = JournalStorage(ReadOnlyJournal(paths.journal))
    first, second = optuna.load_study(storage=storage, study_name=spec.name).trials[:2]
    (found,) = get_all_artifact_meta(first, storage=storage)
    assert (found.filename, found.mimetype) == ("000000016.png", "image/png")
    assert FileSystemArtifactStore(paths.artifacts).open_reader(found.artifact_id).read() == b"PNG of 16"
    assert get_all_artifact_meta(second, storage=storage) == []


def test_a_study_that_has_not_run_has_no_journal_to_show(new_study: New) -> None:
    with pytest.raises(UserError, match="study 's' has not run yet"):
        ReadOnlyJournal(new_study()[0].journal)
