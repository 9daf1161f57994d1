"""What the pages of a Parquet file say of their size, as its footer may say something else.

A page begins with a `PageHeader` in Thrift's compact protocol, by which readers allocate:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

import mmap

_BOOLS, _BYTE, _NUMBERS, _DOUBLE, _BINARY, _LISTS, _MAP, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 11, 12
_DEEPEST = 8
"""Structs in structs; a page header has three."""


def unpacked_bytes(data: mmap.mmap, start: int, end: int) -> int:
    """Sum what the pages between two places unpack to, by their headers; what is damaged counts as nothing from there on."""
    place, total = start, 0
    try:
        while place < end:
            header = _Header(data, place)
            packed, unpacked = header.sizes()
            total += max(0, unpacked)
            place = header.place + packed
            if packed < 0:
                break
    except (IndexError, ValueError):
        pass  # Arrow says what is wrong
    return total


class _Header:
    """A reader of one header; `place` is behind what was read."""

    def __init__(self, data: mmap.mmap, place: int) -> None:
        self._data, self.place = data, place

    def sizes(self) -> tuple[int, int]:
        """Read the header to its end; gives the bytes that follow it, and what they unpack to."""
        found = {2: 0, 3: 0}
        self._struct(found, 0)
        return found[3], found[2]

    def _struct(self, wanted: dict[int, int], depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError(f"{depth=}")
        field = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            field = field + step if step else self._signed()
            if field in wanted and kind in _NUMBERS:
                wanted[field] = self._signed()
            else:
                self._skip(kind, depth)

    def _skip(self, kind: int, depth: int) -> None:
        if kind in _NUMBERS:
            self._varint()
        elif kind == _STRUCT:
            self._struct({}, depth + 1)
        elif kind in _LISTS or kind == _MAP:
            raise ValueError("no field of a page header is a list")
        elif kind not in _BOOLS:
            self.place += {_BYTE: 1, _DOUBLE: 8}.get(kind) or self._varint()

    def _byte(self) -> int:
        self.place += 1
        return self._data[self.place - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number without end")

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
