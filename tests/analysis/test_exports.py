import csv

import pyarrow.parquet as pq
import pytest

from analysis.exports import export
from analysis.study_data import StudyData
from search.records.results import SCHEMA, load, write_trial
from spaces.errors import UserError


@pytest.fixture
def pair(study, new_study):
    other = new_study(name="phosphor-2")
    other.trial(0, "mdi", "both", [90, 80])
    return StudyData.of(study.home, [(study.paths, study.spec), (other.paths, other.spec)])


def test_parquet_has_every_evaluation_of_all_studies_with_its_schema(study, pair, tmp_path):
    written = pq.read_table(export(pair, tmp_path / "all.parquet", None))
    assert written.schema.equals(SCHEMA)
    assert written.num_rows == load(study.paths.evaluations).num_rows + 2
    assert set(written["study"].to_pylist()) == {"phosphor-1", "phosphor-2"}


def test_trials_that_were_cut_off_are_not_said_to_run(study, tmp_path):
    written = pq.read_table(export([study.data], tmp_path / "all.parquet", None))
    cut_off = [row["trial"] for row in written.to_pylist() if row["status"] == "interrupted"]
    assert set(cut_off) == {4} and "running" not in written["status"].to_pylist()


def test_csv_has_the_same_rows(study, pair, tmp_path):
    with export(pair, tmp_path / "all.csv", None).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == load(study.paths.evaluations).num_rows + 2
    assert (rows[0]["study"], rows[0]["transfer/parts"], rows[0]["fd"]) == ("phosphor-1", "both", "150")


def test_markdown_has_every_section_and_no_raw_markup(study, tmp_path):
    spec = study.spec.model_copy(update={"space": "<script>a|b</script>"})
    text = export(StudyData.of(study.home, [(study.paths, spec)]), tmp_path / "r.md", None).read_text()
    assert [line[3:].split(".")[0] for line in text.splitlines() if line.startswith("## ")] == [
        str(n) for n in range(1, 11)
    ]
    assert "| 0 | mdi | both | 60 |" in text
    assert not [
        line for line in text.splitlines() if "<script>" in line and not line.startswith("    ")
    ]  # that is code


def test_a_form_that_is_named_counts_more_than_the_ending(study, tmp_path):
    output = export([study.data], tmp_path / "r.txt", "csv")
    assert output.read_text().startswith('"study"')


def test_without_an_output_it_goes_to_the_first_study(study, pair):
    assert export(pair, None, "csv") == study.paths.root / "report.csv"
    (study.paths.root / "report.csv").unlink()


def test_an_unknown_form_lists_those_there_are(study):
    with pytest.raises(UserError, match="unknown format 'pdf'; known: csv, html, md, parquet, png"):
        export([study.data], None, "pdf")


@pytest.mark.parametrize("form", ["html", "md", "csv", "parquet"])
def test_a_folder_as_output_is_refused_with_a_way_out(study, tmp_path, form):
    with pytest.raises(UserError, match=r"is a folder, not a file; give a file name such as .*report\."):
        export([study.data], tmp_path, form)


def test_studies_whose_methods_have_different_losses_are_one_table(study, new_study, tmp_path):
    other = new_study(name="phosphor-2")
    row = {"images_seen": 100, "fd": 50.0, "losses": {"loss/cycle": 0.5}}
    write_trial(
        other.paths.evaluation(0), other.spec.base, study="phosphor-2", trial=0, status="completed", evaluations=[row]
    )
    studies = StudyData.of(study.home, [(each.paths, each.spec) for each in (study, other)])
    written = pq.read_table(export(studies, tmp_path / "all.parquet", None))
    assert written["loss/cycle"].to_pylist().count(0.5) == 1
    assert written.num_rows == load(study.paths.evaluations).num_rows + 1
