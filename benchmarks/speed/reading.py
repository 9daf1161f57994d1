"""Times the reading of shuffled batches: the mapped domain against torchvision's ImageFolder and a DataLoader.

    python -m benchmarks.speed.reading

Batches are of 64 images of 64 pixels, the same ones for both, as uint8 tensors; ImageFolder's are JPEG files of 64
pixels, and its DataLoader has a process a core. The floor is the time in which as many bytes are copied from one place
in memory to another. A second row has four processes that each read the whole domain: the memory that they have
together (proportional set sizes of its mapping, from /proc) against the file's size.
"""

import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.speed.rows import Row, alternate, show
from trainables.images.batches import BatchOrder
from trainables.images.domains import IMAGES_FILE, Domain, write_domain

IMAGES, RESOLUTION, BATCH, PROCESSES = 4096, 64, 64, 4


def rows() -> list[Row]:
    """Measure the two rows of this benchmark: the speed of reading, and the memory of several processes."""
    with tempfile.TemporaryDirectory() as folder:
        images = _photo_like()
        labels, is_val = np.zeros(IMAGES, np.int64), np.arange(IMAGES) < BATCH
        write_domain(Path(folder) / "d", images, labels, is_val, origin="", resizer="")
        _write_files(images, Path(folder) / "files" / "all")
        return [_speed(Path(folder)), _memory(Path(folder) / "d")]


def _speed(folder: Path) -> Row:
    contenders = {"ours": _ours(folder / "d"), "ImageFolder + DataLoader": _theirs(folder / "files")}
    seconds = alternate({name: lambda epoch=epoch: _drain(epoch) for name, epoch in contenders.items()})
    ours = seconds.pop("ours")
    source = np.zeros((IMAGES, 3, RESOLUTION, RESOLUTION), np.uint8)
    target = np.empty_like(source)
    floor = alternate({"copy": lambda: np.copyto(target, source)})["copy"]
    return Row(f"an epoch of {IMAGES:,} shuffled images, {RESOLUTION} px", ours, seconds, floor, wanted="20x")


def _ours(path: Path) -> Callable[[], Iterator[Tensor]]:
    domain = Domain.open(path)
    order = BatchOrder(domain.indices("train"), BATCH, seed=0)
    return lambda: (torch.from_numpy(domain.images[order(i)]) for i in range(IMAGES // BATCH))


def _theirs(path: Path) -> Callable[[], Iterator[Tensor]]:
    files, workers = ImageFolder(str(path), v2.PILToTensor()), os.cpu_count() or 1
    loader = DataLoader(files, BATCH, shuffle=True, num_workers=workers, persistent_workers=True)
    return lambda: (images for images, _ in loader)


def _drain(epoch: Callable[[], Iterator[Tensor]]) -> None:
    for _ in epoch():
        pass


def _photo_like() -> NDArray[np.uint8]:
    """Draw images of smooth colours with some noise, which as JPEG files are as large as photos: uint8 (N, 3, R, R)."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (IMAGES, 8, 8, 3), dtype=np.uint8)
    smooth = [np.asarray(Image.fromarray(c).resize((RESOLUTION, RESOLUTION), Image.Resampling.BICUBIC)) for c in coarse]
    noisy = np.stack(smooth).astype(np.int16) + rng.integers(-12, 13, (IMAGES, RESOLUTION, RESOLUTION, 3))
    return np.ascontiguousarray(noisy.clip(0, 255).astype(np.uint8).transpose(0, 3, 1, 2))


def _write_files(images: NDArray[np.uint8], folder: Path) -> None:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{index:05d}.jpg", quality=90)


def _memory(path: Path) -> Row:
    fork = multiprocessing.get_context("spawn")
    ready, done, sizes = fork.Barrier(PROCESSES + 1), fork.Event(), fork.Queue()
    readers = [fork.Process(target=_read_all, args=(path, ready, done, sizes)) for _ in range(PROCESSES)]
    for reader in readers:
        reader.start()
    ready.wait()  # all have read all: only now are pages shared by four
    done.set()
    together = sum(sizes.get() for _ in readers)
    for reader in readers:
        reader.join()
    size = (path / IMAGES_FILE).stat().st_size / 2**20
    work, peers = f"{PROCESSES} processes on one domain, together", {"a copy each": PROCESSES * size}
    return Row(work, together, peers, size, unit="MiB", wanted="one copy")


def _read_all(path: Path, ready: Barrier, done: Event, sizes: "multiprocessing.Queue[float]") -> None:
    """Read the whole domain, and once all processes have done so, tell how much memory its file takes of this one's."""
    int(Domain.open(path).images.sum())
    domain = Domain.open(path)
    int(domain.images[:, :, ::8].sum())
    ready.wait()
    done.wait()
    time.sleep(0.2)
    sizes.put(_mapped_mebibytes(path / IMAGES_FILE))
    time.sleep(1.0)  # nobody leaves before all have looked


def _mapped_mebibytes(path: Path) -> float:
    """Read this process's proportional share of a mapped file, in MiB."""
    mappings = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    own = [mapping for mapping in mappings if str(path) in mapping.split("\n")[0]]
    return sum(int(match[1]) for mapping in own for match in re.finditer(r"(?m)^Pss:\s+(\d+)", mapping)) / 1024


if __name__ == "__main__":
    show(rows())
