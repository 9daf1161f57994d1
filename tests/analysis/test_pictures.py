import shutil

import pytest
from PIL import Image

from analysis import pictures
from analysis.contents import contents
from analysis.pictures import find_browser, write_pictures
from spaces.errors import UserError


@pytest.mark.browser
def test_every_figure_and_sample_grid_becomes_a_picture(study, tmp_path):
    if not any(map(shutil.which, pictures.BROWSERS)):
        pytest.skip("no chromium on this machine: apt-get install chromium")
    sections = contents([study.data])
    folder = write_pictures(sections, tmp_path / "figures")
    wanted = sum(len(block.plots) + len(block.images) for section in sections for block in section.blocks)
    found = sorted(folder.iterdir())
    assert len(found) == wanted > 12
    curve = Image.open(folder / "02-cost-1-1-against-images-seen.png")
    assert curve.width == 2000
    assert len(curve.convert("RGB").resize((200, 100)).getcolors(20_000)) > 20
    assert write_pictures(sections, folder) == folder  # over what an earlier call wrote


def test_without_a_browser_the_way_out_is_told(monkeypatch, study, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(pictures.BROWSER_VARIABLE, raising=False)
    with pytest.raises(UserError, match=r"none of chromium, .* is on PATH; install one .* --format html needs none"):
        write_pictures(contents([study.data]), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_a_browser_that_is_named_must_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv(pictures.BROWSER_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere is no program"):
        find_browser()


def test_a_browser_that_draws_nothing_is_told_of(monkeypatch, study, tmp_path):
    monkeypatch.setenv(pictures.BROWSER_VARIABLE, shutil.which("false"))
    with pytest.raises(UserError, match="drew no figure"):
        write_pictures(contents([study.data]), tmp_path / "figures")


def test_a_folder_of_other_things_is_left_alone(study, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="is there already, and not a folder of figures"):
        write_pictures(contents([study.data]), tmp_path)
