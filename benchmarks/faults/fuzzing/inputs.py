"""What there is to import: pictures in several formats, a table, labels, a generator's tensors, a key map, a config, a space."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from spaces.networks import parse_network
from trainables.networks.families import build_generator
from trainables.storage.weights import write_tensors

SPACE = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", [*sources, "scratch"])
    trial.suggest_int("seed", 0, 1)
"""
FORMATS = ("png", "jpeg", "webp", "bmp", "gif", "tiff")


def write_inputs(folder: Path) -> None:
    """Fill a new folder with them; all are whole."""
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)) for _ in range(24)]
    encoded = []
    for number, picture in enumerate(pictures):
        kind = FORMATS[number % len(FORMATS)]
        data = io.BytesIO()
        picture.save(data, format=kind)
        encoded.append(data.getvalue())
        for place in (folder / "pictures" / "ab"[number % 2], folder / "labelled" / "00000"):
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.{kind}").write_bytes(data.getvalue())
    names = sorted(path.name for path in (folder / "labelled" / "00000").iterdir())
    labels = {"labels": [[f"00000/{name}", number % 3] for number, name in enumerate(names)]}
    (folder / "labelled" / "dataset.json").write_text(json.dumps(labels))
    pq.write_table(pa.table({"image": encoded, "label": [number % 2 for number in range(24)]}), folder / "rows.parquet")
    network = parse_network({"resolution": 32, "width": 2, "z_dim": 8}, "fuzz")
    tensors = build_generator(network, seed=0).state_dict()
    write_tensors(tensors, folder / "generator.safetensors")
    (folder / "map.json").write_text(json.dumps({name: name for name in tensors}))
    (folder / "config.json").write_text(json.dumps({"target": "nothing", "source": "scratch"}))
    (folder / "space.py").write_text(SPACE)
