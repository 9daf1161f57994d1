"""Studies of a home, written as one table and read again as evidence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from search.launch import resolve_study
from search.picking.evidence import Pool, gather, pools, told_of
from search.picking.recorded import ABOUT, about, table_of, told, write_table
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
            pool.ranks,
            [(c.study, c.trial, c.target, c.level, c.arm, c.scores, c.seconds, c.config) for c in pool.curves],
        )
        for pool in found
    ]


def test_a_table_of_studies_tells_what_the_home_told(studied: Home, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    names = studied.names("studies")
    write_table(path, table_of(told_of(studied, name) for name in names))
    assert seen(pools(told(pq.read_table(path), None))) == seen(gather(studied, names)[0])


def test_a_table_that_says_what_its_studies_were_called_keeps_their_names(studied: Home, tmp_path: Path) -> None:
    (kept,) = pools(told(table_of([told_of(studied, "whole")]), Home.find(tmp_path / "elsewhere")))
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
    (elsewhere,) = pools(told(table, Home.find(tmp_path / "elsewhere")))
    assert {curve.target for curve in elsewhere.curves} == {f"dots@{digest['domain:dots'][:8]}"}
    assert elsewhere.curves[1].arm.source == f"seed-7@{digest['source:seed-7'][:8]}"
    images, of_val = np.zeros((6, 3, 32, 32), np.uint8), np.arange(6) < 2
    write_domain(studied.domain("dots"), images, np.zeros(6, np.int64), of_val, origin="new", resizer="none")
    (replaced,) = pools(told(table, studied))
    assert {curve.target for curve in replaced.curves} == {f"dots@{digest['domain:dots'][:8]}"}
