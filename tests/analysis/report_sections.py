"""The sections of a report, as their tests read them."""

import shutil
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.contents import contents
from analysis.study_data import StudyData
from search.records.study import StudyPaths

ANCHORS = [
    "answer",
    "cost",
    "agreement",
    "matrix",
    "networks",
    "sizes",
    "parameters",
    "search",
    "samples",
    "protocol",
]


def read(*studies):
    """The sections of a report by anchor; of one study, its block in each."""
    found = contents(StudyData.of(studies[0].home, [(study.paths, study.spec) for study in studies]))
    return {part.anchor: part.blocks[0] if len(studies) == 1 else part for part in found}


def with_column(study, tmp_path, name, value):
    """The study again, one column of its rows changed."""
    paths = StudyPaths(shutil.copytree(study.paths.root, tmp_path / "copy"))
    for path in paths.evaluations.glob("*.parquet"):
        table = pq.read_table(path)
        place = table.schema.get_field_index(name)
        column = pa.array([value] * len(table), table.schema.field(place).type)
        pq.write_table(table.set_column(place, table.schema.field(place), column), path)
        if value in ("inception", 256):  # one trial only
            break
    return SimpleNamespace(home=study.home, paths=paths, spec=study.spec)


def one_transfer(study):
    study.trial(0, "mdi", "both", [90], iw=[-3])
