"""What stands before a verb that replaces or removes data: studies that still need them."""

import sys
from typing import Literal

from trainables.storage.home import Home


def end_studies(home: Home, kind: Literal["domain", "source"], name: str, *, force: bool, replace: bool = True) -> None:
    """Say on stderr which unfinished studies end with the old data of that name; UserError unless `force` allows it.

    Without `replace` the home keeps its own of that name; a new one may still hide a builtin one.
    """
    from search.records.inputs import check_unclaimed

    if not replace and name in home.names(f"{kind}s"):
        return home.check_writable()
    if line := check_unclaimed(home, kind, name, force=force):
        print(f"note: {line}", file=sys.stderr)
    return None
