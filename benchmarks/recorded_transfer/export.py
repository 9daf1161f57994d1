"""The recorded studies as one table, with what they were made of in its metadata, and its data card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.recorded_transfer.plan import (
    EVALUATIONS,
    IMAGES,
    LONGER,
    RESOLUTION,
    SOURCE_IMAGES,
    TARGET_IMAGES,
    TARGETS,
    WAVES,
    Wave,
    sources_of,
    trials_of,
)
from search.picking.recorded import ABOUT, SHIPPED, about, write_table
from search.records.results import is_final, load
from search.records.study import StudyPaths, open_study
from trainables.storage.home import Home, writing
from trainables.storage.json_files import read_json

TABLE = Path(__file__).with_name("transfer.parquet")
CARD = Path(__file__).with_name("CARD.md")


def table_of(home: Home, study: str) -> pa.Table | None:
    """All evaluations of a study; None where the home has no such study."""
    folder = StudyPaths(home.study(study)).evaluations
    return load(folder) if folder.is_dir() else None


def of_study(table: pa.Table, study: str) -> pa.Table:
    """A study's rows of the exported table."""
    return table.filter(pc.equal(table["study"], study))


def ended(table: pa.Table | None, wave: Wave, target: str) -> bool:
    """Whether every trial of the wave's study for this target is through."""
    if table is None:
        return False
    rows = table.select(["trial", "status"]).to_pylist()
    return len({row["trial"] for row in rows if is_final(row["status"])}) == trials_of(wave, target)


def exported() -> pa.Table | None:
    """The table as it was exported last."""
    return pq.read_table(TABLE) if TABLE.exists() else None


def planned_studies() -> pa.Array:
    """The names of the plan's studies."""
    return pa.array([wave.study(target) for wave in WAVES for target in TARGETS])


def export(home: Home) -> pa.Table:
    """Write the studies that are complete, those of the home and those that the table has already, and the card.

    Studies of an earlier plan that the table has stand behind those of today's. Once every target has one, the table ships.
    """
    before = exported()
    facts, tables = about(before) if before is not None else {"studies": {}, "rankings": {}}, []
    for wave in WAVES:
        for target in TARGETS:
            study = wave.study(target)
            of_home = table_of(home, study)
            if of_home is not None and ended(of_home, wave, target):
                tables.append(of_home)
                _note(home, study, facts)
            elif before is not None and (known := of_study(before, study)).num_rows:
                tables.append(known)
    if not tables:
        raise SystemExit(f"{home.root}: no study of the plan is complete; run `record` first")
    if before is not None:
        tables.append(before.filter(pc.invert(pc.is_in(before["study"], planned_studies()))))
    table = pa.concat_tables(tables, promote_options="permissive")
    table = table.replace_schema_metadata({ABOUT: json.dumps(facts).encode()})
    write_table(TABLE, table)
    if all(
        of_study(table, WAVES[0].study(target)).num_rows for target in TARGETS
    ):  # fewer would tell of one target alone
        write_table(SHIPPED, table)
    with writing(CARD) as beside:
        beside.write_text(card(table, TABLE.stat().st_size))
    return table


def _note(home: Home, study: str, facts: dict[str, Any]) -> None:
    """Keep what a study was made of, and how it ranked its sources: another study's were trained anew."""
    paths, spec = open_study(home, study)
    facts["studies"][study] = {"digests": spec.digests, "versions": spec.versions, "created": spec.created}
    if paths.ranking.is_file():
        facts["studies"][study]["ranking"] = read_json(paths.ranking)


def card(table: pa.Table, size: int) -> str:
    """What the table is, as Markdown."""
    rows = table.to_pylist()
    last = {(row["study"], row["trial"]): row for row in rows}  # rows stand by images seen
    hours = sum(row["wall_seconds"] or 0 for row in last.values()) / 3600
    statuses = [row["status"] for row in last.values()]
    studies = about(table)["studies"]
    planned = sum(trials_of(wave, target) for wave in WAVES for target in TARGETS)
    in_plan = set(planned_studies().to_pylist())
    others = sum(study not in in_plan for study, _ in last)
    of_others = f" and {others} of earlier plans" if others else ""
    example = next(iter(last.values()))
    lines = [
        "# Recorded transfer: which source, which networks, which learning rates",
        "",
        "Written by `python -m benchmarks.recorded_transfer export`; not by hand.",
        "",
        f"{len(last) - others} of the {planned} trials of the plan (`plan.py`){of_others}, {table.num_rows:,} evaluations, "
        f"{hours:.1f} hours of a core that did other work too, {size / 1e6:.2f} MB. {_ways(statuses)}.",
        "",
        "| what | how |",
        "|---|---|",
        f"| targets | {', '.join(TARGETS)}: {TARGET_IMAGES} images each, {RESOLUTION} pixels, with flips |",
        f"| sources | {_sources()}; photo sources trained here on {SOURCE_IMAGES:,} images, mdi ships with understock |",
        "| networks | both, generator, discriminator; scratch; each source as it is |",
        f"| learning rates | {_rates()} (generator, critic, in millionths) |",
        f"| budget | {IMAGES:,} images, {EVALUATIONS} evaluations and one before; {LONGER} times that where `n` says so |",
        f"| scores | {', '.join(_metrics(example))}; {example['extractor']} at {example['input_size']} pixels, "
        f"{example['n_fake']} samples at the end, fewer at rungs (`n_drawn`), split {example['split']}; copies looked "
        f"for among {' or '.join(map(str, sorted({row['copy_n'] for row in rows} - {None})))} images (1000 with mirror images) |",
        "| recipe | WGAN-GP, batch 32, 2 critic steps, moving average's half-life 1,000 images: docs/recipe.md |",
        f"| machine | {', '.join(sorted({str(row['device']) for row in rows}))}, one thread a trial |",
        f"| versions | {_versions(studies)} |",
        "",
        "| study | trials | hours |",
        "|---|---|---|",
    ]
    for study in dict.fromkeys(row["study"] for row in rows):
        own = [row for (name, _), row in last.items() if name == study]
        lines.append(f"| {study} | {len(own)} | {sum(row['wall_seconds'] or 0 for row in own) / 3600:.2f} |")
    lines += [
        "",
        "SHA-256 of the domains and source models, of each study in the table's metadata. A source model with several was",
        "trained anew on another machine, by the same command and seed: processors differ in last bits.",
        "",
    ]
    digests = {pair for study in studies.values() for pair in study["digests"].items()}
    lines += [f"- {name}: `{digest}`" for name, digest in sorted(digests) if not name.startswith("space:")]
    return "\n".join(lines) + "\n"


def _ways(statuses: list[str]) -> str:
    return ", ".join(f"{statuses.count(status)} {status}" for status in sorted(set(statuses)))


def _sources() -> str:
    return ", ".join(sorted({source for target in TARGETS for source in sources_of(target)}))


def _rates() -> str:
    return ", ".join(f"{g} {d}" for g, d in dict.fromkeys((wave.lr_g, wave.lr_d) for wave in WAVES))


def _metrics(row: Mapping[str, Any]) -> list[str]:
    return [name for name in ("fd", "kd", "iw", "copy_rate") if row.get(name) is not None]


def _versions(studies: Mapping[str, Any]) -> str:
    found = {f"{name} {version}" for study in studies.values() for name, version in study["versions"].items()}
    return ", ".join(sorted(found))
