"""Where a trial leaves what it makes, and the lock that keeps a second process out of there."""

import fcntl
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_SECONDS = 60.0


class TrialBusyError(Exception):
    """Another process still trains this trial: one whose driver was killed, or that lost touch with its cluster."""


@dataclass(frozen=True)
class TrialFiles:
    """The folders of a trial, and every file name in them."""

    folder: Path
    samples: Path

    @property
    def slots(self) -> tuple[Path, Path]:
        """The learner's state, with all evaluations so far, after the last evaluation and after the one before it."""
        return self.folder / "checkpoint-0.safetensors", self.folder / "checkpoint-1.safetensors"

    @property
    def model(self) -> Path:
        """The model of the last evaluation that has a score, ready to sample from: a folder."""
        return self.folder / "model"

    @property
    def generator_alone(self) -> Path:
        """What earlier versions left in the place of `model`: one file."""
        return self.folder / "generator.safetensors"

    def left(self) -> Path | None:
        """Where the trial's model lies, whichever version left it; None if there is none."""
        return next((path for path in (self.model, self.generator_alone) if path.exists()), None)

    @property
    def error(self) -> Path:
        """The traceback of a failed trial."""
        return self.folder / "error.txt"

    @property
    def lock(self) -> Path:
        """Locked by the process that trains the trial, and says which one that is."""
        return self.folder / ".training"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else trains the trial inside the block: waits for the lock, which goes with the process that holds it.

        TrialBusyError if another process still has it after a minute.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with self.lock.open("a+") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TrialBusyError(f"another process still trains the trial in {self.folder}") from None
                    time.sleep(0.1)
            lock.truncate(0)
            lock.write(f"{os.getpid()} on {socket.gethostname()}")
            lock.flush()
            self._tidy()
            yield

    def _tidy(self) -> None:
        """Remove what a killed process left half written beside its place: `.NAME` and 8 hexadecimal digits."""
        for entry in self.folder.iterdir():
            if re.fullmatch(r"\..+\.[0-9a-f]{8}", entry.name):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
