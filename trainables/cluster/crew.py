"""A crew: the workers that train one model together, and what each of them takes of the machines."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Crew:
    """The workers of one training, and what each of them takes."""

    workers: int
    threads: int
    """CPU cores that each worker computes on."""
    gpus: float
    """GPUs that each worker has: 0 computes on the CPU, less than 1 shares a GPU with others."""

    @property
    def device(self) -> torch.device:
        """The kind of device that each worker computes on."""
        return torch.device("cuda" if self.gpus else "cpu")

    @property
    def bundle(self) -> dict[str, float]:
        """The resources that Ray is to keep free for one worker, by Ray's names."""
        return {"CPU": self.threads, "GPU": self.gpus} if self.gpus else {"CPU": self.threads}

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
        each = f"{self.threads} CPUs{gpus}"
        return f"{self.workers} workers with {each} each" if self.workers > 1 else each
