"""What a checkpoint holds, flat: its tensors and plain values by dotted names, whatever nests them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from trainables.sources.foreign.pickles import Record
from trainables.sources.foreign.tensors import Array, Lazy, UnreadableError, View

CLASS = "__class__"
"""Below an object's name stands the name of its class."""

MAX_DEPTH, MAX_NODES, MAX_NAME = 64, 300_000, 1_000
MAX_SHARED = 5_000
"""Places in which one and the same part may stand."""
_TRANSPARENT = ("_parameters", "_buffers", "_modules")
"""What a module keeps its tensors and parts in: no part of their names."""

Plain = str | int | float | bool


@dataclass(frozen=True)
class Contents:
    """A file's or folder's tensors and plain values by name, "G_ema.synthesis.b4.const", and the classes that are unknown."""

    tensors: Mapping[str, Lazy]
    values: Mapping[str, Plain] = field(default_factory=dict)
    strangers: Mapping[str, int] = field(default_factory=dict)

    def below(self, prefix: str) -> dict[str, Lazy]:
        """The tensors whose names begin so, by the rest of them."""
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    def value(self, *names: str) -> Plain | None:
        """The first of these that there is."""
        return next((self.values[name] for name in names if name in self.values), None)


def flat(tree: object, strangers: Mapping[str, int]) -> Contents:
    """The contents of what a pickle made; UnreadableError if it is nested deeper, or larger, than any checkpoint."""
    walk = _Walk()
    walk.into("", tree)
    return Contents(walk.tensors, walk.values, strangers)


class _Walk:
    def __init__(self) -> None:
        self.tensors: dict[str, Lazy] = {}
        self.values: dict[str, Plain] = {}
        self._nodes = 0
        self._entered: Counter[int] = Counter()
        self._around: list[int] = []
        """What the walk is in, by identity: a part that leads back to the whole is not entered again."""

    def into(self, path: str, node: object) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(self._around) > MAX_DEPTH or len(path) > MAX_NAME:
            raise UnreadableError("it is nested deeper, has more parts or longer names than any checkpoint")
        if isinstance(node, View | Array | Tensor):
            self.tensors[path] = node
        elif isinstance(node, str | int | float):
            self.values[path] = node
        elif isinstance(node, dict | list | tuple | Record) and id(node) not in self._around:
            self._entered[id(node)] += 1
            if self._entered[id(node)] > MAX_SHARED and node:
                raise UnreadableError("it has one part in more places than any checkpoint")
            self._around.append(id(node))
            for name, part in _parts(node):
                self.into(f"{path}.{name}" if path and name else path or name, part)
            self._around.pop()


def _parts(node: object) -> Iterator[tuple[str, object]]:
    """What a node consists of, by name; "" for what is not named apart from it."""
    if isinstance(node, dict):
        yield from ((_named(key), part) for key, part in node.items() if isinstance(key, str | int))
    elif isinstance(node, list | tuple):
        yield from ((str(place), part) for place, part in enumerate(node))
    elif isinstance(node, Record):
        yield CLASS, node.made_by
        state = node.state[0] if isinstance(node.state, tuple) and node.state else node.state
        if isinstance(state, dict) and isinstance(state.get("variables"), list) and "static_kwargs" in state:
            yield from _parts_of_tensorflow(state)
        elif isinstance(state, dict):
            yield from _parts(state)
        yield from _parts(node.entries)
        yield from _parts(node.items)


def _parts_of_tensorflow(state: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    """A TensorFlow network's variables and components by their own names, beside all else that it says of itself."""
    variables = state["variables"]
    assert isinstance(variables, list), f"{type(variables)=}"
    pairs = [pair for pair in variables if isinstance(pair, tuple | list) and len(pair) == 2]
    if len(pairs) < len(variables):
        raise UnreadableError("a TensorFlow network's variables are no pairs of name and array")
    yield from ((str(name) if isinstance(name, str) else "?", array) for name, array in pairs)
    components = state.get("components")
    yield "", components.entries if isinstance(components, Record) else components
    rest = {key: part for key, part in state.items() if key not in ("variables", "components")}
    yield from _parts(rest)


def _named(key: object) -> str:
    return "" if key in _TRANSPARENT else str(key)
