"""Studies of a home, written as one table and read again as evidence."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from search.launch import resolve_study
from search.picking import recorded
from search.picking.evidence import Pool, gather, pools
from search.picking.recorded import ABOUT, about, table_of, told, write_table
from search.picking.told import told_of
from search.proposals import overlaid
from search.recommendation import recommend
from search.records.results import write_trial
from search.records.study import StudyPaths, open_study, write_spec
from spaces.trials import parse_trial
from trainables.images.domains import write_domain
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

MEASURED = {
    "extractor": "efficientnet_lite0",
    "input_size": 64,
    "resizer": "r",
    "split": "train",
    "n_fake": 24,
    "metric_seed": 0,
}
RANKING = {"counted": ["fd"], "rows": [{"source": "seed-7", "rank": 1.0, "parts": {"fd": {"value": 50.0}}}]}


@pytest.fixture
def studied(home: Home, tiny_domain: str, tiny_source: SourceModel) -> Home:
    """Studies "whole" and "few" of domain dots, a trial from scratch and one from seed-7 each."""
    for name, size in (("whole", None), ("few", 10)):
        settings: dict[str, Any] = {"sources": "seed-7", "max_images": 900, "target_images": size}
        spec = resolve_study(home, "dots", "quickstart", name=name, **settings).spec
        paths = StudyPaths.of(home, name)
        write_spec(paths, spec.model_copy(update={"ranking": {"seed-7": 50.0}}))
        paths.ranking.write_text(json.dumps(RANKING))
        for number, (source, parts) in enumerate((("scratch", "none"), ("seed-7", "both"))):
            values = spec.base.model_dump() | {"source": source, "transfer": {"parts": parts}}
            rows = [
                {"images_seen": n, "fd": 9e4 / n, "iterations": n, "wall_seconds": n / 10, **MEASURED}
                for n in (300, 900)
            ]
            config = parse_trial(values, "test")
            write_trial(
                paths.evaluation(number), config, study=name, trial=number, status="completed", evaluations=rows
            )
    return home


def seen(found: list[Pool]) -> list[Any]:
    return [
        (
            pool.bench,
            pool.rankings,
            pool.likeness,
            [(c.study, c.trial, c.target, c.level, c.arm, c.scores, c.seconds, c.config) for c in pool.curves],
        )
        for pool in found
    ]


def test_a_table_of_studies_tells_what_the_home_told(studied: Home, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    names = studied.names("studies")
    write_table(path, table_of(told_of(studied, name) for name in names))
    assert seen(pools(told(pq.read_table(path), None))) == seen(gather(studied, names)[0])


def test_a_table_tells_of_trials_without_a_gan_too(studied: Home) -> None:
    paths, spec = open_study(studied, "whole")
    config = overlaid(spec.base, {"method": "untranslated", "source": "seed-7"}, "test")
    row = {"images_seen": 0, "fd": 400.0, "iterations": 0, "wall_seconds": 2.0, **MEASURED}
    write_trial(paths.evaluation(2), config, study="whole", trial=2, status="completed", evaluations=[row])
    (kept,) = pools(told(table_of([told_of(studied, "whole")]), None))
    assert "untranslated" in {curve.arm.method for curve in kept.curves}


def test_a_table_that_says_what_its_studies_were_called_keeps_their_names(studied: Home, tmp_path: Path) -> None:
    (kept,) = pools(told(table_of([told_of(studied, "whole")]), Home.make(tmp_path / "elsewhere")))
    assert {curve.target for curve in kept.curves} == {"dots"}


def test_names_of_a_recorded_table_are_a_homes_own_only_by_their_digests(studied: Home, tmp_path: Path) -> None:
    table = table_of([told_of(studied, "whole")])
    facts = about(table)
    digest = open_study(studied, "whole")[1].digests
    facts["studies"]["whole"] = {"digests": digest}  # as in the table that ships
    facts["rankings"]["dots"] = RANKING
    table = table.replace_schema_metadata({ABOUT: json.dumps(facts).encode()})
    (here,) = pools(told(table, studied))
    assert {curve.target for curve in here.curves} == {"dots"}
    (elsewhere,) = pools(told(table, Home.make(tmp_path / "elsewhere")))
    assert {curve.target for curve in elsewhere.curves} == {f"dots@{digest['domain:dots'][:8]}"}
    assert elsewhere.curves[1].arm.source == f"seed-7@{digest['source:seed-7'][:8]}"
    images, of_val = np.zeros((6, 3, 32, 32), np.uint8), np.arange(6) < 2
    write_domain(studied.domain("dots"), images, np.zeros(6, np.int64), of_val, origin="new", resizer="none")
    (replaced,) = pools(told(table, studied))
    assert {curve.target for curve in replaced.curves} == {f"dots@{digest['domain:dots'][:8]}"}


@pytest.fixture
def shipping(studied: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table that ships is of the home's studies, by digests alone."""
    table = table_of(told_of(studied, name) for name in studied.names("studies"))
    facts = about(table)
    for name in facts["studies"]:
        facts["studies"][name] = {"digests": open_study(studied, name)[1].digests}
    facts["rankings"]["dots"] = RANKING
    path = tmp_path / "recorded.parquet"
    write_table(path, table.replace_schema_metadata({ABOUT: json.dumps(facts).encode()}))
    monkeypatch.setattr(recorded, "SHIPPED", path)
    return path


@pytest.mark.usefixtures("shipping")
def test_studies_that_the_home_has_are_not_told_twice(studied: Home) -> None:
    assert recorded.shipped(studied) == []


@pytest.mark.usefixtures("shipping")
@pytest.mark.slow
def test_a_home_without_trials_picks_by_the_table_that_ships_and_says_so(studied: Home) -> None:
    for name in studied.names("studies"):
        shutil.rmtree(studied.study(name))
    images, of_val = np.random.default_rng(5).integers(0, 255, (48, 3, 32, 32), dtype=np.uint8), np.arange(48) % 6 == 0
    write_domain(studied.domain("new"), images, np.zeros(48, np.int64), of_val, origin="new", resizer="none")
    found, _ = recommend(studied, "new")
    assert (found.trials_here, found.trials_elsewhere) == (0, 4)
    assert "4 of these trials are not this home's: they are of the table that ships with understock" in found.says[-1]
    assert found.score is None  # what level the target's scores have nobody knows


@pytest.mark.usefixtures("shipping")
@pytest.mark.slow
def test_a_home_with_trials_of_its_own_bench_goes_by_those(studied: Home) -> None:
    for name in studied.names("studies"):
        shutil.rmtree(studied.study(name))
    spec = resolve_study(studied, "dots", "quickstart", name="own", sources="seed-7", max_images=900).spec
    write_spec(StudyPaths.of(studied, "own"), spec)
    rows = [{"images_seen": 900, "fd": 5.0, "iterations": 9, "wall_seconds": 9.0, **MEASURED, "n_fake": 99}]
    path = StudyPaths.of(studied, "own").evaluation(0)
    write_trial(path, spec.base, study="own", trial=0, status="completed", evaluations=rows)
    found, notes = recommend(studied, "dots")
    assert found.rests_on == {"own": 1} and not any("ships" in line for line in (*found.says, *notes))
