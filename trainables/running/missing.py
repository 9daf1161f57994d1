"""What a trial reports where something can't be imported: no fault of its own, nor a lost process."""

from typing import Any

NOT_IMPORTED = "not imported"
"""The status of such a report."""


def not_imported(error: ImportError) -> dict[str, Any]:
    """The row of a trial where something can't be imported."""
    return {"status": NOT_IMPORTED, "error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
