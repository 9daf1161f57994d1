from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search.records.results import SCHEMA, config_of, load, row_columns, write_trial
from search.records.study import StudySpec
from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.trials import parse_trial

Make = Callable[..., TrialConfig]


def write(folder: Path, config: TrialConfig, trial: int, **values: object) -> None:
    rows = [{"images_seen": 20, "fd": 2.5, **values}, {"images_seen": 10, "fd": 3.5}]
    write_trial(folder / f"{trial:05d}.parquet", config, study="s", trial=trial, status="completed", evaluations=rows)


def test_rows_come_back_with_the_config_beside_the_metrics(tmp_path: Path, tiny_config: Make) -> None:
    config = tiny_config(optim={"lr_g": 3e-4, "batch": 4})
    write(tmp_path, config, 1)
    write(tmp_path, config, 0)
    table = load(tmp_path)
    assert table.column("trial").to_pylist() == [0, 0, 1, 1]
    assert table.column("images_seen").to_pylist() == [10, 20, 10, 20]
    row = table.to_pylist()[0]
    assert (row["optim/lr_g"], row["transfer/parts"], row["protocol/metrics"], row["fd"]) == (
        3e-4,
        "none",
        "fd,iw",
        3.5,
    )


def test_a_trial_without_evaluations_has_one_row_with_its_error(tmp_path: Path, tiny_config: Make) -> None:
    path = tmp_path / "00000.parquet"
    write_trial(path, tiny_config(), study="s", trial=0, status="failed", evaluations=[], error="why")
    (row,) = load(tmp_path).to_pylist()
    assert (row["status"], row["error"], row["images_seen"], row["fd"]) == ("failed", "why", 0, None)


def test_a_column_that_is_not_in_the_schema_is_a_bug(tmp_path: Path, tiny_config: Make) -> None:
    with pytest.raises(KeyError, match="lpips"):
        write(tmp_path, tiny_config(), 0, lpips=1.0)
    assert list(tmp_path.rglob("*.parquet")) == []


def test_no_results_are_an_empty_table_with_all_columns(tmp_path: Path) -> None:
    assert load(tmp_path).schema == SCHEMA
    assert len(load(tmp_path)) == 0


def test_a_truncated_file_is_named(tmp_path: Path, tiny_config: Make) -> None:
    write(tmp_path, tiny_config(), 0)
    path = tmp_path / "00000.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"00000\.parquet is not a readable Parquet file"):
        load(tmp_path)


def test_only_what_was_measured_is_taken_from_a_report() -> None:
    assert row_columns({"fd": 1.0, "status": "running", "pid": 3, "images_seen": 8}) == {"images_seen": 8, "fd": 1.0}


def test_files_are_small_and_self_describing(tmp_path: Path, tiny_config: Make) -> None:
    write(tmp_path, tiny_config(), 0)
    assert pq.read_schema(tmp_path / "00000.parquet").equals(SCHEMA)
    assert (tmp_path / "00000.parquet").stat().st_size < 50_000


def test_a_study_is_read_that_was_recorded_with_a_setting_which_its_method_has_no_more(tmp_path: Path) -> None:
    budget = {"images": 32, "eval_every_images": 16}
    values = {"method": "dtn", "target": "a", "source": "b", "budget": budget, "training": {"batch": 8}}
    config = parse_trial(values, "test")
    assert "pool" not in config.model_dump_json()
    base = {**values, "training": {"batch": 8, "pool": 50}}
    facts = {"name": "s", "target": "a", "space": "quickstart", "trials": 1, "sources": [], "train_images": 40}
    facts |= {"digests": {}, "versions": {}, "created": "2026-01-01"}
    assert StudySpec.parse({**facts, "base": base}, "test").base == config
    write(tmp_path, config, 0)
    (path,) = tmp_path.glob("*.parquet")
    table = pq.read_table(path)
    place = table.schema.get_field_index("training/pool")
    pq.write_table(table.set_column(place, "training/pool", pa.array([50, 50])), path)
    assert [config_of(row) for row in load(tmp_path).to_pylist()] == [config, config]
