import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.using.model_exports import FORMS, export_model
from search.records.study import StudyPaths
from spaces.errors import UserError
from spaces.trials import parse_trial_json
from trainables.methods.registry import open_sampler
from trainables.sources.shelf import SourceModel, remove_source
from trainables.storage.home import Home


def about(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "about.json").read_text())


def code_of(readme: Path) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    return code


def test_an_exported_generator_draws_the_same_images(home: Home, finished: StudyPaths, tmp_path: Path) -> None:
    export_model(home, "s", tmp_path / "out")
    one, other = (open_sampler(path)(8, seed=3) for path in (tmp_path / "out", finished.trial(0) / "model"))
    assert torch.equal(one.images, other.images)
    assert parse_trial_json((tmp_path / "out" / "config.json").read_text(), "config.json").target == "dots"
    assert about(tmp_path / "out")["sources"] == []


def test_it_says_where_the_model_is_from_and_how_good_it_is(
    home: Home, from_a_source: StudyPaths, tiny_source: SourceModel, tmp_path: Path
) -> None:
    export_model(home, "s:0", tmp_path / "out")
    found = about(tmp_path / "out")
    (source,) = found["sources"]
    assert (source["name"], source["origin"], source["digest"]) == ("seed-7", "test", tiny_source.facts.digest)
    assert (source["licence"], source["note"]) == ("unknown", None)
    assert (found["target"], found["target_images"], found["trial"]) == ("dots", 40, 0)
    scores = {score["metric"]: score for score in found["scores"]}
    assert scores["fd"]["floor"] > 0 and scores["fd"]["value"] > 0 and scores["fd"]["goal"] == "lower is better"
    assert found["measured"]["n_fake"] == 24 and found["seeds"]["trial"] == 0


def test_a_source_that_was_changed_or_removed_since_is_said_to_be(
    home: Home, finish: Any, tiny_source: SourceModel, tmp_path: Path
) -> None:
    finish({"source:seed-7": "0" * 64}, source="seed-7")
    export_model(home, "s", tmp_path / "changed")
    assert "another one now" in about(tmp_path / "changed")["sources"][0]["note"]
    remove_source(home, "seed-7")
    export_model(home, "s", tmp_path / "gone", "hub")
    assert "not on the shelf any more" in about(tmp_path / "gone")["sources"][0]["note"]
    assert "Careful: it is not on the shelf any more" in (tmp_path / "gone" / "README.md").read_text()


def test_the_lines_of_a_model_card_load_what_it_is_of(
    home: Home, from_a_source: StudyPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_model(home, "s", tmp_path / "hub", "hub")
    monkeypatch.chdir(tmp_path / "hub")
    code, names = code_of(tmp_path / "hub" / "README.md"), {}
    assert len([line for line in code.splitlines() if line]) <= 5
    exec(code, names)  # what a reader would do
    assert names["images"].shape == (16, 3, 32, 32) and names["images"].dtype == torch.uint8
    with Image.open(tmp_path / "hub" / "samples.png") as grid:  # of 8 by 8 images
        assert grid.size == (8 * 34 - 2, 8 * 34 - 2)
        first = np.asarray(grid)[:32, :32].transpose(2, 0, 1)
    assert np.array_equal(first, open_sampler(tmp_path / "hub")(64, seed=0).images[0].numpy())


def test_a_model_card_tells_licence_source_target_scores_and_seeds(
    home: Home, from_a_source: StudyPaths, tmp_path: Path
) -> None:
    export_model(home, "s", tmp_path / "hub", "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    front = card.split("---")[1]
    assert "license: unknown" in front and "pipeline_tag: unconditional-image-generation" in front
    assert "Source model seed-7: licence **unknown**; learnt lines, 100 images; origin: test" in card
    assert "Target: domain dots, 40 images to train on, from test" in card
    assert re.search(r"\| FD \(efficientnet_lite0\) \| [\d.,]+ \| [\d.,]+ \| lower is better \|", card)
    assert "n_fake 24" in card.replace("\\_", "_") and "Seeds: trial 0, target images 0, metrics" in card
    assert "may forbid what you plan" in card


def test_words_of_others_can_not_write_the_card(home: Home, finish: Any, new_source: Any, tmp_path: Path) -> None:
    source = new_source("seed-7", domain="<script>x</script>\n# Owned](http://e)")
    finish({"source:seed-7": source.facts.digest}, source="seed-7")
    export_model(home, "s", tmp_path / "hub", "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "&lt;script&gt;" in card and "<script>" not in card
    assert "\n# Owned" not in card and "](http" not in card


@pytest.mark.slow  # the exporter takes seconds
def test_an_onnx_export_says_its_licence_itself(home: Home, from_a_source: StudyPaths, tmp_path: Path) -> None:
    import onnx

    export_model(home, "s", tmp_path / "out", "onnx")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"model.onnx", "config.json", "about.json"}
    said = {each.key: each.value for each in onnx.load(tmp_path / "out" / "model.onnx").metadata_props}
    assert said["licence"] == "unknown" and json.loads(said["about"]) == about(tmp_path / "out")


def test_a_folder_that_is_there_and_an_unknown_form_are_refused(
    home: Home, finished: StudyPaths, tmp_path: Path
) -> None:
    (tmp_path / "out" / "photos").mkdir(parents=True)
    for form in FORMS:
        with pytest.raises(UserError, match="is there already; give a folder that is new or empty"):
            export_model(home, "s", tmp_path / "out", form)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photos"]
    with pytest.raises(UserError, match=r"unknown format 'pkl'.*known: hub, onnx, safetensors"):
        export_model(home, "s", tmp_path / "new", "pkl")
    assert not (tmp_path / "new").exists()
