import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from search.records.results import load, write_trial
from search.records.study import StudyPaths, StudySpec, open_study
from search.running.single import default_name, read_config, train_one
from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.methods.registry import open_sampler
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.loop import Evaluation, evaluations
from verbs.picking import confirm_winner

Config = Callable[..., TrialConfig]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[object], Path]:
    def write(data: object) -> Path:
        path = tmp_path / "pick.json"
        path.write_text(json.dumps(data))
        return path

    return write


def test_a_config_is_read_bare_and_out_of_a_pick(tiny_config: Config, written: Callable[[object], Path]) -> None:
    config = tiny_config()
    values = json.loads(config.model_dump_json())
    assert read_config(written(values), "dots") == config
    assert read_config(written({"config": values, "says": []}), "dots") == config
    assert read_config(written({"base": values, "space": "unvaried"}), "dots") == config
    longer = read_config(written(values), "dots", max_images=64).budget
    assert (longer.images, longer.eval_every_images) == (64, 32)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ([1], "holds list, expected the fields of a trial's configuration"),
        (
            {"config": {"target": "dots"}},
            "pick.json: source: Field required; budget: Field required; network: Field required",
        ),
        ({}, "target: Field required"),
        (
            {"config": "abc"},
            "pick.json is str, expected the fields of a trial's configuration; make one with: understock",
        ),
        ({"config": None}, 'the "config" of config '),
        ({"base": [1]}, "pick.json is list, expected"),
        (None, "holds NoneType, expected"),
        ({"target": "dots", "source": "scratch", "transfer": 5}, "transfer: Input should be a valid dictionary"),
        ({"target": "dots", "source": "scratch", "transfer": [["parts", "both"]]}, "transfer: Input should be a valid"),
    ],
)
def test_a_file_that_holds_no_config_is_refused(
    written: Callable[[object], Path], data: object, complaint: str
) -> None:
    with pytest.raises(UserError) as error:
        read_config(written(data), "dots")
    assert complaint in str(error.value)


def test_a_config_of_another_target_or_no_file_is_refused(
    tiny_config: Config, written: Callable[[object], Path], tmp_path: Path
) -> None:
    path = written(json.loads(tiny_config().model_dump_json()))
    with pytest.raises(
        UserError, match=r"is for target 'dots', not 'cats'; make one with: understock pick cats -o pick\.json"
    ):
        read_config(path, "cats")
    with pytest.raises(UserError, match=r"can't be read \(No such file"):
        read_config(tmp_path / "nowhere.json", "dots")
    path.write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        read_config(path, "dots")


def test_a_study_is_called_by_target_and_file() -> None:
    assert default_name("cats", Path("x/pick.json")) == "cats-pick"
    assert default_name("cats", Path("My Best!.json")) == "cats-my-best"
    assert default_name("cats", Path("!.json")) == "cats-config"


def test_one_configuration_becomes_a_finished_study_with_a_generator(
    home: Home, tiny_config: Config, tiny_source: SourceModel
) -> None:
    config = tiny_config(source="seed-7", transfer={"parts": "both"})
    paths, spec = train_one(home, config, "one", threads=1)
    rows = load(paths.evaluations).to_pylist()
    assert [(row["images_seen"], row["status"]) for row in rows] == [(16, "completed"), (32, "completed")]
    assert rows[-1]["source"] == "seed-7" and rows[-1]["device"] == "cpu" and rows[-1]["threads"] == 1
    assert spec.ranking["seed-7"] > 0
    assert open_sampler(paths.trial(0) / "model")(2, seed=0).images.shape == (2, 3, 32, 32)
    before = paths.evaluation(0).read_bytes()
    train_one(home, config, "one", threads=1)
    assert paths.evaluation(0).read_bytes() == before  # nothing was trained again


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2])
def test_one_that_was_cut_off_goes_on_and_ends_like_an_unbroken_one(
    home: Home, tiny_config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], after: int
) -> None:
    """Row for row, in its table and in the lines of both processes together; it begins with the untrained networks."""
    import search.running.single

    budget = {"images": 32, "eval_every_images": 16, "eval_start": True}
    config, real = tiny_config(budget=budget), search.running.single.run_trial

    def interrupted(*given: object) -> Iterator[Evaluation]:
        yield from islice(evaluations(real(*given)), after)
        raise KeyboardInterrupt

    whole = without_seconds(train_one(home, config, "whole", threads=1)[0])
    lines = evaluations_shown(capsys)
    monkeypatch.setattr(search.running.single, "run_trial", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_one(home, config, "broken", threads=1)
    assert len(load(StudyPaths.of(home, "broken").evaluations)) == after
    monkeypatch.setattr(search.running.single, "run_trial", real)
    assert without_seconds(train_one(home, config, "broken", threads=1)[0]) == whole
    assert [row["images_seen"] for row in whole] == [0, 16, 32]
    assert evaluations_shown(capsys) == lines and len(lines) == 3


def without_seconds(paths: StudyPaths) -> list[dict[str, object]]:
    rows = load(paths.evaluations).to_pylist()
    return [{name: row[name] for name in row if name != "study" and not name.endswith("_seconds")} for row in rows]


def evaluations_shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if " images: " in line]


def test_another_config_under_the_same_name_is_refused(home: Home, tiny_config: Config) -> None:
    train_one(home, tiny_config(), "one", threads=1)
    with pytest.raises(UserError, match="study 'one' is there already with another base"):
        train_one(home, tiny_config(seed=1), "one", threads=1)


def test_a_training_that_diverges_says_so_and_is_recorded(home: Home, tiny_config: Config) -> None:
    config = tiny_config(optim={"batch": 4, "lr_g": 1e30, "lr_d": 1e30})
    for _ in range(2):  # the second call finds it
        with pytest.raises(UserError, match="study 'wild' diverged after"):
            train_one(home, config, "wild", threads=1)
    assert load(open_study(home, "wild")[0].evaluations).to_pylist()[-1]["status"] == "diverged"


@pytest.mark.slow
def test_a_winner_is_confirmed_with_fresh_seeds_and_fresh_z_and_goes_on_where_it_was(
    home: Home, new_study: Callable[..., tuple[StudyPaths, StudySpec]], capsys: pytest.CaptureFixture[str]
) -> None:
    paths, spec = new_study()
    row = {"images_seen": 32, "iterations": 1, "fd": 5.0, "wall_seconds": 1.0}
    for seed in (0, 1):
        config = spec.base.model_copy(update={"seed": seed})
        write_trial(
            paths.evaluation(seed),
            config,
            study="s",
            trial=seed,
            status="completed",
            evaluations=[row | {"fd": 5 + seed}],
        )
    confirm_winner(home, "s", 1, threads=1)
    confirm_winner(home, "s", 2, threads=1)
    tables = [load(StudyPaths.of(home, f"s-confirm-{n}").evaluations).to_pylist()[-1] for n in (1, 2)]
    assert [(table["seed"], table["protocol/seed"]) for table in tables] == [(2, 1), (3, 1)]
    said = capsys.readouterr().out.splitlines()
    assert "chosen: trial 0 of s with FD" in said[-2] and said[-2].endswith(" 5, 5.5 in the mean of 2 seeds")
    mean = sum(table["fd"] for table in tables) / 2
    assert f"{mean:.3g}"[:3] in said[-1] and "2 fresh seeds, scored on fresh z" in said[-1]


@pytest.mark.slow
def test_two_trials_of_a_study_are_confirmed_beside_each_other(
    home: Home, new_study: Callable[..., tuple[StudyPaths, StudySpec]], capsys: pytest.CaptureFixture[str]
) -> None:
    paths, spec = new_study()
    row = {"images_seen": 32, "iterations": 1, "fd": 5.0, "wall_seconds": 1.0}
    for trial, rate in enumerate((1e-4, 2e-4)):
        config = spec.base.model_copy(update={"optim": spec.base.optim.model_copy(update={"lr_g": rate})})
        write_trial(
            paths.evaluation(trial),
            config,
            study="s",
            trial=trial,
            status="completed",
            evaluations=[row | {"fd": 5 + trial}],
        )
    for trial in (0, 1, 0, 1):
        confirm_winner(home, f"s:{trial}", 1, threads=1)
    assert open_study(home, "s-confirm-1")[1].base.optim.lr_g == 1e-4
    assert open_study(home, "s-1-confirm-1")[1].base.optim.lr_g == 2e-4
    first, second, *again = capsys.readouterr().out.split("chosen: ")[1:]
    assert [first, second] == again, "what is through is not trained again"
    with pytest.raises(
        UserError, match=r"another threads_per_trial .*; go on with that one: understock resume s-confirm-1$"
    ):
        confirm_winner(home, "s:0", 1, threads=2)
