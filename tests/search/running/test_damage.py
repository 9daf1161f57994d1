"""A journal that was cut or changed anywhere: no trial's rows go to another configuration, and no file is rewritten."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import FixedTrial, TrialState
from torch import Tensor

from search.records.results import config_of, load
from search.records.study import StudyPaths, StudySpec
from search.running.dashboard import checked_journal
from search.running.ledger import Ledger
from search.running.suggested import suggested_config
from spaces.errors import UserError
from trainables.networks.models import Model
from trainables.training.checkpoints import save
from trainables.training.loop import Evaluation
from trainables.training.trial_files import TrialFiles

New = Callable[..., tuple[StudyPaths, StudySpec]]
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
Study = tuple[StudyPaths, StudySpec]

SOMETIMES = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", [*sources, "scratch"])
    trial.suggest_categorical("loss/n_critic", [1])
    trial.suggest_float("optim/lr_g", 1e-4, 1e-3, log=True)
    trial.suggest_int("seed", 0, 9)
    trial.suggest_categorical("transfer/parts", ["both", "generator"])
"""


def row(images: int, fd: float) -> dict[str, object]:
    return {"images_seen": images, "iterations": 1, "fd": fd, "status": "running"}


@pytest.fixture
def study(new_study: New) -> Study:
    """Trials of each end, some that are no config (from scratch there is nothing to transfer), and one that is begun."""
    paths, spec = new_study(SOMETIMES, trials=30, seed=2)
    ledger = Ledger(paths, spec)
    for step, status in enumerate(("completed", "stopped", "completed", "diverged", "failed", "completed", "stopped")):
        number, config = ledger.ask() or pytest.fail("nothing to do")
        if step in (2, 5):
            ledger.retried(number, config)
        for images in (8, 16):
            ledger.record(number, config, row(images, step + images / 3))
        ledger.finish(number, config, status, "why" if status == "failed" else None)  # type: ignore[arg-type]
    number, config = ledger.ask() or pytest.fail("nothing to do")
    ledger.record(number, config, row(8, 1 / 3))
    return paths, spec


def contents(paths: StudyPaths) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(paths.root.rglob("*")) if path.is_file()}


def told(ledger: Ledger) -> list[tuple[object, ...]]:
    """What a sampler and a reader make of the trials."""
    return [
        (trial.number, trial.state, trial.params, trial.values, trial.intermediate_values, trial.user_attrs)
        for trial in ledger.study.get_trials()
    ]


def check(ledger: Ledger) -> None:
    """Each trial of the table has in the journal the configuration that its rows have."""
    trials, spec = ledger.study.get_trials(), ledger.spec
    for found in load(ledger.paths.evaluations).to_pylist():
        config, _ = suggested_config(spec, ledger.space, FixedTrial(trials[found["trial"]].params))
        assert config == config_of(found), found["trial"]


def damaged(data: bytes, place: float, how: str) -> bytes:
    """A file cut at a place, or with a piece of it lost, or a byte changed there; or a whole line lost."""
    at = int(place * len(data))
    if how == "cut":
        return data[:at]
    if how == "lost":
        return data[:at] + data[at + 40 :]
    if how == "line":
        lines = data.splitlines(keepends=True)
        del lines[int(place * len(lines))]
        return b"".join(lines)
    other = random.Random(at).choice([byte for byte in b'0123456789abcdefg"{[,\n\xff' if byte != data[at]])
    return data[:at] + bytes([other]) + data[at + 1 :]


EVERYWHERE = pytest.param(40, marks=pytest.mark.slow)


@pytest.mark.parametrize("places", [7, EVERYWHERE])
@pytest.mark.parametrize("how", ["cut", "flipped", "lost", "line"])
@pytest.mark.slow
def test_a_damaged_journal_gives_no_trial_s_rows_to_another_configuration(
    study: Study, capsys: pytest.CaptureFixture[str], how: str, places: int
) -> None:
    paths, spec = study
    whole = paths.journal.read_bytes()
    files = {path: data for path, data in contents(paths).items() if path.suffix == ".parquet"}
    before = told(Ledger(paths, spec))
    assert len(files) == 8 + sum(item[1] is TrialState.FAIL for item in before) - 1
    for step in range(places):
        paths.journal.write_bytes(damaged(whole, (step + 0.5) / places, how))
        capsys.readouterr()
        ledger = Ledger(paths, spec)
        said = capsys.readouterr().err
        assert said.count("\n") <= 1
        assert {path: path.read_bytes() for path in files} == files
        check(ledger)
        found = told(ledger)[: len(before)]
        assert [item[:4] for item in found if item[1] in ENDED] == [item[:4] for item in before if item[1] in ENDED]
        assert [item[:2] for item in found] == [item[:2] for item in before]
        if "was made anew" in said:
            kept = paths.journal.with_name("optuna.journal.damaged")
            assert kept.read_bytes() == damaged(whole, (step + 0.5) / places, how)
            assert [item for item in found if item[1] in ENDED] == [item for item in before if item[1] in ENDED]
        number, config = ledger.ask() or pytest.fail("nothing to do")
        assert number == len(files) - 1 and config == config_of(load(paths.evaluations).to_pylist()[-1])
        assert {path: path.read_bytes() for path in files if path.stem != f"{number:05d}"} == {
            path: data for path, data in files.items() if path.stem != f"{number:05d}"
        }


@pytest.mark.parametrize("lost", ["no row", "no file", "another space"])
@pytest.mark.slow
def test_what_the_table_does_not_tell_is_refused_and_nothing_is_changed(
    study: Study, space_file: Callable[[str], str], lost: str
) -> None:
    paths, spec = study
    paths.journal.write_bytes(paths.journal.read_bytes()[: paths.journal.stat().st_size // 3])
    last = max(int(path.stem) for path in paths.evaluations.glob("*.parquet"))
    if lost == "no row":
        paths.evaluation(2).write_bytes(b"PAR1 and then nothing")
    elif lost == "no file":
        paths.trial(last).mkdir(parents=True)
        paths.evaluation(last).unlink()
    else:
        space_file(SOMETIMES.replace("1e-4, 1e-3", "2e-2, 4e-2").replace('"seed", 0, 9', '"data/seed", 0, 9'))
    before = contents(paths)
    with pytest.raises(
        UserError, match=r"study 's': .*optuna.journal is damaged .* nothing was changed, so put"
    ) as error:
        Ledger(paths, spec)
    assert "\n" not in str(error.value)
    assert contents(paths) == before


class _Untrained:
    """As much of a learner as a checkpoint takes."""

    def model(self) -> Model:
        return Model({}, {})

    def state_dict(self) -> dict[str, Tensor]:
        return {}


@pytest.mark.slow
def test_a_lost_file_is_not_written_again_with_a_configuration_that_its_checkpoint_does_not_have(study: Study) -> None:
    paths, spec = study
    rows = {found["trial"]: found for found in load(paths.evaluations).to_pylist()}
    number = min(n for n, found in rows.items() if found["status"] == "completed")
    evaluation = Evaluation("completed", 16, 4, 1.0, 2.0, {}, {"fd": 5.0}, {})
    save(_Untrained(), TrialFiles(paths.trial(number), paths.samples(number)), [evaluation], config_of(rows[number]))
    paths.evaluation(number).unlink()
    text = paths.journal.read_text()
    lines = text.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if '"optim/lr_g"' in line and f'"trial_id":{number},' in line)
    lines[at] = lines[at].replace('"param_value_internal":0.000', '"param_value_internal":0.0009', 1)
    assert "".join(lines) != text
    paths.journal.write_text("".join(lines))
    before = contents(paths)
    with pytest.raises(UserError, match=r"another configuration there than in its checkpoint.*parquet is missing"):
        Ledger(paths, spec)
    assert contents(paths) == before


@pytest.mark.slow
def test_a_file_of_another_study_or_trial_is_refused_by_its_name(study: Study) -> None:
    paths, spec = study
    shutil.copy(paths.evaluation(0), paths.evaluation(1))
    before = contents(paths)
    with pytest.raises(UserError, match=r"00001.parquet holds trial 0 of study 's', expected trial 1 of study 's'"):
        Ledger(paths, spec)
    assert contents(paths) == before


@pytest.mark.slow
def test_a_damaged_journal_is_not_shown_and_the_way_out_is(study: Study) -> None:
    paths, spec = study
    whole = paths.journal.read_bytes()
    assert checked_journal(paths).copy.read_bytes() == whole
    paths.journal.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"optuna.journal is damaged .*; mend it with: understock resume s$"):
        checked_journal(paths)
    assert paths.journal.read_bytes() == whole[: len(whole) // 2]
    Ledger(paths, spec)
    checked_journal(paths)
