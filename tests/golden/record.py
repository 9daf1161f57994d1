"""Writes `values.json` anew: only when numbers are meant to change, with the reason in the commit's message.

Run it as `python tests/golden/record.py`.
"""

import json
import tempfile
from pathlib import Path

from golden_numbers import machine, measured

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        values = {"machine": machine(), "values": measured(Path(folder))}
    Path(__file__).with_name("values.json").write_text(json.dumps(values, indent=1) + "\n")
