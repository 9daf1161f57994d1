"""A crew: the workers that train one model together, and what each of them takes of the machines."""

from dataclasses import dataclass

import torch

from spaces.counts import plural


@dataclass(frozen=True)
class Crew:
    """The workers of one training, and what each of them takes."""

    workers: int
    threads: int
    """CPU cores that each worker computes on."""
    gpus: float
    """GPUs that each worker has: 0 computes on the CPU, less than 1 shares a GPU with others."""
    memory: int = 0
    """Bytes of memory that are kept free for each worker: 0 asks for none."""

    @property
    def device(self) -> torch.device:
        """The kind of device that each worker computes on."""
        return torch.device("cuda" if self.gpus else "cpu")

    @property
    def bundle(self) -> dict[str, float]:
        """The resources that Ray is to keep free for one worker, by Ray's names."""
        needs = {"CPU": self.threads, "GPU": self.gpus, "memory": self.memory}
        return {kind: need for kind, need in needs.items() if need}

    def __str__(self) -> str:
        gpus = f" and {plural(self.gpus, 'GPU')}" if self.gpus else ""
        memory = f" and {self.memory / 2**30:.4g} GiB of memory" if self.memory else ""
        each = f"{plural(self.threads, 'CPU')}{gpus}{memory}"
        return f"{self.workers} workers with {each} each" if self.workers > 1 else each
