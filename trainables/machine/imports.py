"""Which `spaces`, `search`, ... an import finds: ours, whatever else has such an everyday name.

A project's own `spaces.py`, in the working directory or on PYTHONPATH, comes before an editable install on Python's path,
and Ray puts the driver's working directory first on its workers' path.
"""

from collections.abc import Callable


def ours_first(root: str, last: str = "") -> Callable[[], None]:
    """A function that makes its process import our packages from `root`, and what else folder `last` and its own working
    directory hold only where no other place has it.

    Where there is no such `root`, on another machine, our packages are where understock is installed. Ray sends the
    function to its workers before they import anything of ours: so all that it needs is inside it, and nested, for else
    only its name would be sent.
    """

    def install() -> None:
        import json
        import sys
        from contextlib import suppress
        from importlib.machinery import ModuleSpec, PathFinder
        from importlib.metadata import PackageNotFoundError, distribution
        from pathlib import Path
        from urllib.parse import unquote, urlsplit

        ours = {"spaces", "trainables", "search", "analysis", "verbs", "understock"}

        def installed() -> str:
            try:
                found = distribution("understock")
            except PackageNotFoundError:
                return root
            origin = json.loads(found.read_text("direct_url.json") or "{}")
            editable = origin.get("dir_info", {}).get("editable")
            return unquote(urlsplit(origin["url"]).path) if editable else str(found.locate_file(""))

        here = root if Path(root, "trainables").is_dir() else installed()
        late = {"", last}
        with suppress(OSError):  # it may be gone
            late.add(str(Path.cwd()))

        class OursFirst:
            @staticmethod
            def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
                if name in ours:
                    return PathFinder.find_spec(name, [here])
                if path is None:
                    return PathFinder.find_spec(name, [place for place in sys.path if place not in late])
                return None

        finders: list[object] = sys.meta_path  # type: ignore[assignment]
        finders.insert(finders.index(PathFinder) if PathFinder in finders else 0, OursFirst)

    return install


NOT_IMPORTED = "not imported"
"""Status that a trial reports when something can't be imported where it runs: no fault of its own, nor a lost process."""


def not_imported(error: ImportError) -> dict[str, str]:
    """The row of a trial where something can't be imported."""
    return {"status": NOT_IMPORTED, "error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
