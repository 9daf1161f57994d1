"""Many studies in one Parquet file, as evidence: the table of transfer that ships with understock, and what a study began from.

The file has the evaluations tables of the studies below each other, and what they were made of in its schema's metadata. The
shipped one is of other machines and other targets. Its trials count like any others of their bench; of another bench they
count for nothing. A domain or source of it is the home's own only where their digests agree; else it goes by its name with
its digest, as one that was replaced does.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from search.picking.told import Told, present_names, ranked
from search.records.results import SCHEMA
from spaces.config import SCRATCH
from trainables.storage.home import Home, writing

SHIPPED = Path(__file__).with_name("recorded.parquet")
"""Written by `python -m benchmarks.recorded_transfer export`; there may be none."""

ABOUT = b"understock"
"""Where the schema's metadata has, of each study, its digests or its names and its ranking, or of each target its ranking."""

Names = Mapping[str, str]
"""A study's target and sources by the names that they have here."""


def table_of(studies: Iterable[tuple[Told, Names]]) -> pa.Table:
    """Studies as one table, which says what their targets and sources are called here."""
    tables, facts = [SCHEMA.empty_table()], {}
    for study, names in studies:
        tables.append(pa.Table.from_pylist(list(study.rows), SCHEMA))
        ranking = [
            {
                "source": source,
                "rank": study.ranks.get(source),
                "parts": {name: {"value": part.value} for name, part in parts.items()},
            }
            for source, parts in study.likeness.items()
        ]
        facts[study.study] = {
            "whole": study.whole,
            "names": dict(names),
            "ranking": {"rows": ranking},
            "distances": dict(study.ranking),
            "resolution": study.resolution,
        }
    metadata = {ABOUT: json.dumps({"studies": facts, "rankings": {}}).encode()}
    return pa.concat_tables(tables).replace_schema_metadata(metadata)


def write_table(path: Path, table: pa.Table) -> None:
    """As small as it gets: a table is written once and read often."""
    with writing(path) as beside:
        pq.write_table(table, beside, compression="zstd", compression_level=19)


def about(table: pa.Table) -> dict[str, Any]:
    """What the table says of its studies and rankings."""
    found = (table.schema.metadata or {}).get(ABOUT)
    return {"studies": {}, "rankings": {}} if found is None else dict(json.loads(found))


def told(table: pa.Table, home: Home | None) -> Iterator[tuple[Told, Names]]:
    """What each study of the table tells, with the names that `home` has for what it is of.

    Without a home, or where the table says what they were called when it was written, they keep those.
    """
    facts = about(table)
    by_study: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table.to_pylist():
        by_study[row["study"]].append(row)
    for study, rows in by_study.items():
        target, known = rows[0]["target"], facts["studies"].get(study, {})
        ranking = known.get("ranking") or facts["rankings"].get(target, {"rows": [], "counted": []})
        likeness, ranks = ranked(ranking["rows"])
        distances = known.get("distances")
        if distances is None:
            distances = {row["source"]: row["parts"][ranking["counted"][0]]["value"] for row in ranking["rows"]}
        sources = sorted(({row["source"] for row in rows} | set(distances)) - {SCRATCH})
        names = known.get("names") or {}
        if home is not None and not names:
            names = present_names(home, target, sources, (), known.get("digests", {}))
        complete = {name: names.get(name, name) for name in (target, *sources)}
        metrics = rows[0]["protocol/metrics"].split(",")
        usable = {source: value for source, value in distances.items() if value}
        resolution = known.get("resolution")
        yield Told(study, target, metrics, known.get("whole"), rows, usable, likeness, ranks, resolution), complete


def shipped(home: Home) -> list[tuple[Told, Names]]:
    """What the table that ships with understock tells, but for studies that the home has itself; nothing where none ships."""
    if not SHIPPED.exists():
        return []
    own = set(home.names("studies"))
    return [pair for pair in told(pq.read_table(SHIPPED), home) if pair[0].study not in own]
