"""What a learner's checkpoint holds: the tensors of its networks and optimisers, each under its owner's name."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Stateful(ABC):
    """A learner whose state is that of its networks and optimisers, and how many iterations it took."""

    iterations: int

    @property
    @abstractmethod
    def _networks(self) -> Mapping[str, nn.Module]:
        """By the names that their tensors go by."""

    @property
    @abstractmethod
    def _optimisers(self) -> Mapping[str, Optimizer]:
        """Likewise."""

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs, by name."""
        return state_of(self._networks, self._optimisers, self.iterations)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`, for a learner of the same config."""
        self.iterations = load_state(state, self._networks, self._optimisers)


def state_of(
    networks: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], iterations: int
) -> dict[str, Tensor]:
    """Every tensor by name ("generator.to_rgb.weight", "adam_g.0.exp_avg"), and the iterations under that name."""
    state = {f"{owner}.{name}": t for owner, module in networks.items() for name, t in module.state_dict().items()}
    for owner, optimiser in optimisers.items():
        for index, moments in optimiser.state_dict()["state"].items():
            state |= {f"{owner}.{index}.{name}": tensor for name, tensor in moments.items()}
    return state | {"iterations": torch.tensor(iterations)}


def in_memory_of_their_own(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state in which what two networks share has memory of its own under either's name: a file takes nothing else."""
    apart, places = dict[str, Tensor](), set[int]()
    for name, tensor in state.items():
        apart[name] = tensor.clone() if tensor.data_ptr() in places else tensor
        places.add(tensor.data_ptr())
    return apart


def load_state(
    state: Mapping[str, Tensor], networks: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer]
) -> int:
    """Put a state that `state_of` gave for the like of them into networks and optimisers; gives the iterations."""
    for owner, module in networks.items():
        module.load_state_dict(dict(_of(owner, state)))
    for owner, optimiser in optimisers.items():
        weights = optimiser.param_groups[0]["params"]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _of(owner, state):
            index, _, key = name.partition(".")
            if tensor.ndim:  # fused Adam takes a weight and its moments to lie in memory alike
                tensor = torch.empty_like(weights[int(index)]).copy_(tensor)
            moments.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(state["iterations"])


def _of(owner: str, state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    return ((name.removeprefix(f"{owner}."), t) for name, t in state.items() if name.startswith(f"{owner}."))
