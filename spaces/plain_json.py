"""JSON as a user, a stranger's program or a damaged disk may have left it: read, or refused with a reason in a few words."""

import json
import math
from collections.abc import Sequence
from typing import Any, Never

MAX_DEPTH = 100
"""Lists in objects in lists: what is nested deeper than this, nobody wrote by hand, and it can't be printed either."""
MAX_DIGITS = 100
"""Of a number; a field that holds one has limits of its own, and says so."""


class JsonError(ValueError):
    """What was read is no JSON, or none that anything here would take; the message is one line without the place."""


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """The value that `text` is the JSON of; bytes are UTF-8, or what their byte order mark says.

    JsonError for what is no JSON, is nested too deeply or gives a name twice in one object, and for numbers that are too
    long or, with `finite`, not finite: strict JSON has no NaN, though Python writes and reads it.
    """
    try:
        value = json.loads(
            text,
            parse_int=_whole,
            parse_float=_finite if finite else None,
            parse_constant=_not_finite if finite else None,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise _too_deep() from None
    except JsonError:
        raise
    except ValueError as error:  # of text in no known encoding, too
        raise JsonError(" ".join(str(error).split())[:200]) from None
    _check_depth(value)
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JsonError(f"{twice!r:.80} stands twice in one object")
    return found


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise JsonError(f"a number of {len(digits):,} digits, {digits:.10}...")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        _not_finite(digits)
    return value


def _not_finite(digits: str) -> Never:
    raise JsonError(f"{digits:.20} is no finite number")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        inside = (item.values() if isinstance(item, dict) else item for item in level)
        level = [inner for items in inside for inner in items if isinstance(inner, dict | list)]
    if level:
        raise _too_deep()


def _too_deep() -> JsonError:
    return JsonError(f"nested more than {MAX_DEPTH} deep")
