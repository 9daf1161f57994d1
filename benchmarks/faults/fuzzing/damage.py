"""Ways to damage a file: its bytes, and what JSON, tables and tensors hold."""

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

DEEP = "[" * 100_000
VALUES: tuple[Any, ...] = (
    None,
    -1,
    0,
    10**30,
    1e308,
    "",
    "x" * 5000,
    "\x1b[31m",
    [],
    {},
    [[]],
    True,
    "../../x",
    "\ud800",
)


def damage(path: Path, kind: str, rng: random.Random) -> None:
    """Write a file anew, damaged in the way that `kind` names."""
    path.write_bytes(DAMAGES[kind](path.read_bytes(), rng))


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _cut_end(data: bytes, rng: random.Random) -> bytes:
    return data[: -rng.randrange(1, 9)]


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 9)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_start(data: bytes, rng: random.Random) -> bytes:
    return _flip(data[:600], rng) + data[600:]


def _zero(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    length = min(rng.randrange(1, 4096), len(data) - start)
    return data[:start] + bytes(length) + data[start + length :]


def _twice(data: bytes, rng: random.Random) -> bytes:
    return data + data


def _another(data: bytes, rng: random.Random) -> bytes:
    """What a file of another format begins with."""
    start = rng.choice(
        (b"PAR1", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"\x80\x04", b"{", b"PK\x03\x04", b"ARROW1\0\0")
    )
    return start + data[len(start) :]


def _changed_json(data: bytes, rng: random.Random) -> bytes:
    """One value replaced, left out or added; what is no JSON becomes one that nobody would take."""
    lines = data.splitlines() or [b""]
    place = rng.randrange(len(lines)) if data.count(b"\n{") else None
    try:
        value = json.loads(data if place is None else lines[place])
    except ValueError:
        return rng.choice((DEEP.encode(), b"NaN", b"[1e999]", b"[]", b"null", b"9" * 10_000, b'{"a": 1, "a": 2}'))
    written = json.dumps(_changed(value, rng)).encode()
    return written if place is None else b"\n".join([*lines[:place], written, *lines[place + 1 :], b""])


def _changed(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(VALUES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, changed = rng.choice(keys), value.copy()
    way = rng.random()
    if way < 0.15:
        del changed[key]
    elif way < 0.25 and isinstance(changed, dict):
        changed["unknown"] = rng.choice(VALUES)
    else:
        changed[key] = _changed(value[key], rng)
    return changed


DAMAGES: Mapping[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": _cut,
    "cut at its end": _cut_end,
    "with bits flipped": _flip,
    "with bits of its start flipped": _flip_start,
    "with zeros": _zero,
    "twice over": _twice,
    "of another format": _another,
    "with other values": _changed_json,
    "with other values yet": _changed_json,
    "empty": lambda data, rng: b"",
    "nested without end": lambda data, rng: DEEP.encode(),
}
