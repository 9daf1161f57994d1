"""A report in other forms: Markdown, the evaluations as CSV or Parquet, and every figure as a PNG."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.contents import contents
from analysis.markdown import plain, table
from analysis.page import Block, Sheet
from analysis.pictures import write_pictures
from analysis.report import write_report
from analysis.study_data import StudyData
from search.records.standing import standing_rows
from spaces.errors import UserError, lookup
from trainables.storage.home import writing

Studies = Sequence[StudyData]
Writer = Callable[[Studies, Path], Path]


def export(studies: Studies, output: Path | None, form: str | None) -> Path:
    """Write the studies' report in a form of FORMATS, by default what `output` ends in, else html; returns where it lies.

    Without `output` it goes to the first study's folder. UserError for an unknown form.
    """
    write, place = destination(studies, output, form)
    return write(studies, place)


def destination(studies: Studies, output: Path | None, form: str | None) -> tuple[Writer, Path]:
    """What writes the report in that form, and where to; UserError as `export` raises it."""
    ending = output.suffix.removeprefix(".") if output else ""
    form = form or (ending if ending in FORMATS else "html")
    write = lookup(FORMATS, "format", form)
    place = output or studies[0].paths.report.with_suffix("" if form == "png" else f".{form}")
    if place.is_dir() and form != "png":
        raise UserError(f"output {place} is a folder, not a file; give a file name such as {place / f'report.{form}'}")
    return write, place


def _html(studies: Studies, output: Path) -> Path:
    return write_report(studies, output)


def _png(studies: Studies, output: Path) -> Path:
    return write_pictures(contents(studies), output)


def _markdown(studies: Studies, output: Path) -> Path:
    with writing(output) as beside:
        beside.write_text("\n".join(markdown(studies)), encoding="utf-8")
    return output


def _csv(studies: Studies, output: Path) -> Path:
    with writing(output) as beside:
        pa.csv.write_csv(evaluations(studies), beside)
    return output


def _parquet(studies: Studies, output: Path) -> Path:
    with writing(output) as beside:
        pa.parquet.write_table(evaluations(studies), beside)
    return output


def evaluations(studies: Studies) -> pa.Table:
    """Every evaluation of the studies in one table; its column `study` tells them apart.

    Trials that were cut off are "interrupted" there. The columns are those of `search.records.results.SCHEMA`, and the losses
    of any trial, which are null for the others.
    """
    return pa.concat_tables([standing_rows(study.paths)[1] for study in studies], promote_options="permissive")


def markdown(studies: Sequence[StudyData]) -> Iterator[str]:
    """The lines of the report as Markdown: words and tables, without figures and samples."""
    yield f"# {plain(' and '.join(study.spec.name for study in studies))}"
    for number, section in enumerate(contents(studies), 1):
        yield from ("", f"## {number}. {section.title}", "")
        if section.lead:
            yield from (plain(section.lead), "")
        for block in section.blocks:
            yield from _block_lines(block)


def _block_lines(block: Block) -> Iterator[str]:
    if block.heading:
        yield from (f"### {plain(block.heading)}", "")
    if block.lead:
        yield from (plain(block.lead), "")
    for label, value, remark in block.facts:
        yield f"- {plain(label)}: **{plain(value)}** ({plain(remark)})"
    for note in block.notes:
        yield from ("", plain(note))
    for purpose, command in block.commands:
        yield from ("", plain(purpose), "", f"    {command}")
    for sheet in block.sheets:
        yield from _sheet_lines(sheet)
    yield ""


def _sheet_lines(sheet: Sheet) -> Iterator[str]:
    yield from ("", f"**{plain(sheet.caption)}**", "")
    yield from table(sheet.columns, sheet.rows)


FORMATS: Mapping[str, Writer] = {
    "html": _html,
    "png": _png,
    "md": _markdown,
    "csv": _csv,
    "parquet": _parquet,
}
