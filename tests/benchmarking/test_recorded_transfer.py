"""The recorded table of transfer: what an export keeps."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.recorded_transfer import export
from benchmarks.recorded_transfer.plan import WAVES
from search.picking.recorded import about
from trainables.storage.home import Home


def test_an_export_keeps_studies_that_are_no_longer_planned(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {target: WAVES[0].study(target) for target in ("cats", "insects")}
    before = pq.read_table(export.TABLE)
    own = {target: export.of_study(before, study) for target, study in names.items()}
    for name in ("TABLE", "SHIPPED", "CARD"):
        monkeypatch.setattr(export, name, tmp_path / name)
    monkeypatch.setattr(export, "WAVES", WAVES[:1])
    monkeypatch.setattr(export, "TARGETS", ("insects",))
    pq.write_table(before, tmp_path / "TABLE")
    found = export.export(home)
    assert found.num_rows == before.num_rows and about(found) == about(before)
    assert found["study"][0].as_py() == names["insects"]  # the plan's are first
    assert export.of_study(found, names["cats"]).equals(own["cats"])
    assert pq.read_table(tmp_path / "SHIPPED").equals(found)
    card = (tmp_path / "CARD").read_text()
    assert "\n25 of the 25 trials of the plan (`plan.py`) and " in card and " of earlier plans, " in card
    assert export.export(home).equals(found)
