"""How many workers train together, and what each of them takes."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Crew:
    """The workers of one training, and what each of them takes."""

    workers: int
    threads: int
    """CPU cores of each."""
    gpus: float
    """Of each; less than 1 shares a GPU."""

    @property
    def device(self) -> torch.device:
        """What each of them computes on."""
        return torch.device("cuda" if self.gpus else "cpu")

    @property
    def bundle(self) -> dict[str, float]:
        """What Ray is to keep free for one worker."""
        return {"CPU": self.threads, "GPU": self.gpus} if self.gpus else {"CPU": self.threads}

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
        each = f"{self.threads} CPUs{gpus}"
        return f"{self.workers} workers with {each} each" if self.workers > 1 else each
