"""An interpreter of pickles that can neither import nor call what they name.

A pickle is a program: of the machine that Python runs it on, this has the stack and the memo alone. Whatever it names is a
`Name`; a few names mean a function of `Meanings`, which makes plain data of plain data, and every other one makes a
`Record`, which keeps what it was given and does nothing. `torch.load(weights_only=True)` is not used: up to torch 2.5 it
could be made to run code (CVE-2025-32434), and it lets a file grow storages and hash without end.
"""

import mmap
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from trainables.sources.foreign.tensors import Allowance, Array, Dtype, UnreadableError

MAX_MEMO = 10_000_000
MAX_NAME = 1_000
_HASHED_AS_THEY_ARE = 2**60
"""Below this, no two whole numbers have one hash."""


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function that a pickle names."""

    module: str
    name: str
    whole: str
    """ "torch.nn.modules.linear.Linear": one text for all the records that it makes."""

    def __str__(self) -> str:
        """The whole name."""
        return self.whole


@dataclass(eq=False)
class Record:
    """An object of a class that is not known here, with all that its pickle gave it; equal to itself alone."""

    made_by: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


Stream = BinaryIO | mmap.mmap
Meaning = Callable[[tuple[Any, ...]], Any]
Persistent = Callable[[Any], Any]


def no_persistent(what: Any) -> Any:
    """Refuse: a plain pickle has nobody to ask for what it leaves out."""
    raise UnreadableError("its pickle refers to something outside of it by a persistent id")


class Interpreter:
    """Runs the pickles of one file."""

    def __init__(
        self, meanings: Mapping[tuple[str, str], Meaning], persistent: Persistent, allowance: Allowance
    ) -> None:
        self._meanings, self._persistent, self._allowance = meanings, persistent, allowance
        self._names: dict[tuple[str, str], Name] = {}
        self.strangers: dict[str, int] = {}
        """The names that made records, and how many."""

    def run(self, stream: Stream) -> Any:
        """What the next pickle of the stream makes; the stream is behind it then. UnreadableError if it is none."""
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        for opcode, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
            self._allowance.take_steps(1)
            if opcode.name == "STOP":
                return self._pop()
            step = _STEPS.get(opcode.name)
            if step is None:
                raise UnreadableError(f"its pickle has the opcode {opcode.name}, which no checkpoint needs")
            step(self, argument)
        raise UnreadableError("its pickle has no end")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise UnreadableError("its pickle takes more from its stack than lies there")
        return self._stack.pop()

    def _top(self) -> Any:
        self._push(value := self._pop())
        return value

    def _drop(self) -> None:
        """The mark, where it lies on top."""
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def _marked(self) -> list[Any]:
        if not self._marks:
            raise UnreadableError("its pickle goes back to a mark that it never set")
        start = self._marks.pop()
        found = self._stack[start:]
        del self._stack[start:]
        return found

    def _remember(self, number: int | None) -> None:
        if len(self._memo) > MAX_MEMO:
            raise UnreadableError("its pickle remembers more than any checkpoint needs")
        self._memo[len(self._memo) if number is None else int(number)] = self._top()

    def _recall(self, number: int) -> None:
        if int(number) not in self._memo:
            raise UnreadableError("its pickle recalls what it never remembered")
        self._push(self._memo[int(number)])

    def _tuple_of(self, count: int) -> None:
        self._push(tuple(reversed([self._pop() for _ in range(count)])))

    def _put_marked(self, pairs: bool) -> None:
        found = self._marked()
        target = self._top()
        if not pairs:
            return _extend(target, found)
        if len(found) % 2:
            raise UnreadableError("its pickle has a key without a value")
        return _update(target, list(zip(found[::2], found[1::2], strict=True)))

    def _put_pair(self) -> None:
        value, key = self._pop(), self._pop()
        _update(self._top(), [(key, value)])

    def _put_one(self) -> None:
        value = self._pop()
        _extend(self._top(), [value])

    def _dict(self) -> None:
        found = self._marked()
        self._push({})
        _update(self._top(), list(zip(found[::2], found[1::2], strict=len(found) % 2 == 0)))

    def _name_of_stack(self) -> None:
        name, module = self._pop(), self._pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise UnreadableError("its pickle names something by no name")
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        """One name for each that the file writes, however often: a few bytes may ask for a long one again and again."""
        if len(module) + len(name) > MAX_NAME:
            raise UnreadableError(f"its pickle names something by more than {MAX_NAME:,} letters")
        if (module, name) not in self._names:
            self._allowance.make_bytes(len(module) + len(name))
            self._names[module, name] = Name(module, name, f"{module}.{name}")
        self._push(self._names[module, name])

    def _call(self, what: Any, args: Any, keywords: Any = None) -> Any:
        """What a function of a few makes; a record of any other."""
        given = args if isinstance(args, tuple) else (args,)
        if isinstance(what, Name):
            if meaning := self._meanings.get((what.module, what.name)):
                return meaning(given)
            self.strangers[str(what)] = self.strangers.get(str(what), 0) + 1
        state = keywords if isinstance(keywords, dict) else None
        return Record(str(what) if isinstance(what, Name) else type(what).__name__, given, state)

    def _reduce(self) -> None:
        args, what = self._pop(), self._pop()
        self._push(self._call(what, args))

    def _new_with_keywords(self) -> None:
        keywords, args, what = self._pop(), self._pop(), self._pop()
        self._push(self._call(what, args, keywords))

    def _instance(self, name: str) -> None:
        args = tuple(self._marked())
        self._name(*name.split(" ", 1))
        self._push(self._call(self._pop(), args))

    def _object(self) -> None:
        what, *args = self._marked() or [None]
        self._push(self._call(what, tuple(args)))

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Array):
            if not (isinstance(state, tuple) and len(state) == 5):
                raise UnreadableError("an array's state is none that NumPy writes")
            target.fill(*state[1:])
        elif isinstance(target, Dtype):
            if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
                target.order = state[1]
        elif isinstance(target, Record):
            target.state = state
            if isinstance(state, dict) and target.made_by.endswith(".EasyDict"):
                self._allowance.take_steps(len(state))
                target.entries.update(state)
        # An OrderedDict's state, torch's _metadata, is left out.


def safe_key(key: Any) -> Any:
    """A key that is hashed in no time: what is no plain value becomes one that equals itself alone.

    So do huge whole numbers, which a file can choose to have one hash: texts' hashes are other ones in each process.
    """
    if isinstance(key, int) and abs(key) >= _HASHED_AS_THEY_ARE:
        return Record("key", (key,))
    return key if key is None or isinstance(key, str | int | float | bytes) else Record("key", (key,))


def _update(target: Any, pairs: list[tuple[Any, Any]]) -> None:
    entries = target.entries if isinstance(target, Record) else target
    if not isinstance(entries, dict):
        raise UnreadableError(f"its pickle puts entries into a {type(target).__name__}")
    entries.update((safe_key(key), value) for key, value in pairs)


def _extend(target: Any, values: list[Any]) -> None:
    items = target.items if isinstance(target, Record) else target
    if not isinstance(items, list):
        raise UnreadableError(f"its pickle appends to a {type(target).__name__}")
    items.extend(values)


def _nothing(machine: Interpreter, argument: Any) -> None:
    """A frame or a protocol."""


Step = Callable[[Interpreter, Any], None]

_VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)

_STEPS: Mapping[str, Step] = {
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(_VALUES, Interpreter._push),
    "NONE": lambda m, _: m._push(None),
    "NEWTRUE": lambda m, _: m._push(True),
    "NEWFALSE": lambda m, _: m._push(False),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_SET"), lambda m, _: m._push([])),
    "EMPTY_DICT": lambda m, _: m._push({}),
    "EMPTY_TUPLE": lambda m, _: m._push(()),
    **dict.fromkeys(("LIST", "FROZENSET"), lambda m, _: m._push(m._marked())),
    "TUPLE": lambda m, _: m._push(tuple(m._marked())),
    "TUPLE1": lambda m, _: m._tuple_of(1),
    "TUPLE2": lambda m, _: m._tuple_of(2),
    "TUPLE3": lambda m, _: m._tuple_of(3),
    "DICT": lambda m, _: m._dict(),
    "MARK": lambda m, _: m._marks.append(len(m._stack)),
    "POP": lambda m, _: m._drop(),
    "POP_MARK": lambda m, _: m._marked().clear(),
    "DUP": lambda m, _: m._push(m._top()),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, number: m._recall(number)),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), lambda m, number: m._remember(number)),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda m, _: m._put_marked(pairs=False)),
    "SETITEMS": lambda m, _: m._put_marked(pairs=True),
    "APPEND": lambda m, _: m._put_one(),
    "SETITEM": lambda m, _: m._put_pair(),
    "GLOBAL": lambda m, name: m._name(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m._name_of_stack(),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda m, _: m._reduce()),
    "NEWOBJ_EX": lambda m, _: m._new_with_keywords(),
    "INST": lambda m, name: m._instance(name),
    "OBJ": lambda m, _: m._object(),
    "BUILD": lambda m, _: m._build(),
    "PERSID": lambda m, what: m._push(m._persistent(what)),
    "BINPERSID": lambda m, _: m._push(m._persistent(m._pop())),
}
"""What each opcode does; those of extensions and of buffers outside the pickle are refused."""
