"""Pairs: the same picture in two domains, which are styles of it, told by the images' names."""

import numpy as np
from numpy.typing import NDArray

from trainables.images.domains import Domain

Rows = NDArray[np.int64]


def pairs(one: Domain, other: Domain) -> tuple[Rows, Rows]:
    """The held-out rows of both domains that hold the same pictures, in the order of the first: (n,) each.

    Without a picture that both name and hold out, n is 0.
    """
    there = {other.names[row]: row for row in other.indices("val")} if other.names else {}
    found = [(row, there[one.names[row]]) for row in one.indices("val") if one.names and one.names[row] in there]
    rows = np.array(found, np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def without_pictures_of(domain: Domain, rows: Rows, other: Domain, others: Rows) -> Rows:
    """Those of `rows` of a domain whose pictures are not among the rows `others` of another: all where one has no names."""
    if not (domain.names and other.names):
        return rows
    taken = {other.names[row] for row in others}
    return np.array([row for row in rows if domain.names[row] not in taken], np.int64)
