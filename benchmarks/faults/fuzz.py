"""Wrong calls by the hundred: every verb, with options that will not do and with damaged files of every format.

    python -m benchmarks.faults.fuzz --calls 600 --seed 0

Each call has a home of its own, a copy of the golden one, or files to import, of which one may be damaged; most run in this
process, some in one of their own. A call must end with exit code 0, or with 2 and one line on stderr (notes apart), without a
traceback, within its time, and leave nothing half-written in the home. What does not is printed whole; the exit code is 1 then.
"""

import argparse
import collections
import contextlib
import io
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

import understock
from benchmarks.faults.fuzzing.damage import DAMAGES, damage
from benchmarks.faults.fuzzing.inputs import write_inputs
from trainables.storage.home import Home

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "home"
SECONDS = 120
"""After which a call counts as hanging."""
OWN_PROCESS = 40
"""One call in so many runs in a process of its own."""
HALF_WRITTEN = re.compile(r"^\..+\.[0-9a-f]{8}$")
NASTY = (
    "",
    " ",
    "-1",
    "0",
    "nan",
    "inf",
    "1e28",
    "4294967296",
    "9" * 400,
    "../x",
    "~nobody/x",
    "x" * 300,
    "a\x1b[31mb",
    "ÿ",
    "/dev/null",
    "/proc/nowhere/x",
    "--help-me",
    "five:99",
    "A",
    "none.py:f",
    ",",
    "{",
)
CALLS: Mapping[str, str] = {
    "domains list": "domains list --json",
    "domains show": "domains show dots",
    "domains rm": "domains rm dots --force",
    "domains add folder": "domains add new {inputs}/pictures --resolution 32",
    "domains add parquet": "domains add new {inputs}/rows.parquet --resolution 32 --image-column image",
    "domains add labelled": "domains add new {inputs}/labelled --resolution 32 --val-fraction 0.2",
    "domains add builtin": "domains add new builtin:nothing --strict",
    "domains add torchvision": "domains add new torchvision:MNIST:{inputs} --resolution 32",
    "sources list": "sources list --json",
    "sources show": "sources show seed-7",
    "sources rm": "sources rm seed-7 --force",
    "sources export": "sources export seed-7 -o {out}/model",
    "sources add": "sources add new {inputs}/generator.safetensors --domain d --images 9 --classes 1",
    "sources add map": (
        "sources add new {inputs}/generator.safetensors --domain d --images 9 --classes 1 --key-map {inputs}/map.json"
    ),
    "sources train": "sources train nothing --name new --max-images 8",
    "rank": "rank dots --sources nothing",
    "search": "search dots --sources seed-7 --trials 2 --max-images 32 --metric fd --seed 0 --concurrency 1 --dry-run",
    "search space": "search dots --sources seed-7 --space {inputs}/space.py:space --dry-run",
    "resume": "resume five --address 127.0.0.1:9",
    "status": "status five --json",
    "report": "report five -o {out}/five.html --format html",
    "report csv": "report five begun -o {out}/rows.csv",
    "report parquet": "report five -o {out}/rows.parquet",
    "compare": "compare five begun -o {out}/both.html",
    "sample": "sample five -n 4 --seed 1 -o {out}/grid.png",
    "export": "export five -o {out}/model",
    "pick": "pick dots --sources seed-7 --trials 4 -o {out}/pick.json",
    "regret": "regret --json",
    "train": "train nothing --config {inputs}/config.json --max-images 8 --threads 1",
    "watch": "watch five --port 70000",
    "dashboard": "dashboard nothing --port 1",
    "submit": "search dots --submit http://127.0.0.1:9",
}
"""A call of each kind that would be right, or that is refused before it trains or serves."""


@dataclass(frozen=True)
class Ended:
    """How a call ended: its exit code, what stands on stderr, and the traceback of what came out of it, if that did."""

    code: int
    complaint: str
    trace: str = ""


def main() -> None:
    """Make the calls, print each fault whole, and the count by kind in the end."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="this call alone, as a fault has its number")
    given = parser.parse_args()
    torch.set_num_threads(1)
    start, codes, faults = time.monotonic(), collections.Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="understock-fuzz-") as folder:
        write_inputs(Path(folder) / "inputs")
        for number in range(given.calls) if given.only is None else (given.only,):
            kind = list(CALLS)[number % len(CALLS)]
            rng = random.Random(f"{given.seed} {number}")
            with _surroundings(Path(folder)) as place:
                what = _spoil(place, rng, number // len(CALLS))
                line = _line(CALLS[kind], place, rng, damaged=bool(what))
                before = _names(place / "home")
                ended = (_in_own_process if number % OWN_PROCESS == 7 else _here)(line, place / "home")
                codes[f"exit code {ended.code}"] += 1
                if wrong := _wrong(ended, place / "home", before):
                    faults += 1
                    print(f"\n# {number}: understock {shlex.join(line)}\n# {what or 'nothing damaged'}: {wrong}")
                    print(f"{ended.complaint}{ended.trace}", flush=True)
            if number % 100 == 99:
                print(f"{number + 1} calls in {time.monotonic() - start:.0f} s", file=sys.stderr)
    listed = ", ".join(f"{count} with {code}" for code, count in sorted(codes.items()))
    print(
        f"\n{codes.total()} calls of {len(CALLS)} kinds in {time.monotonic() - start:.0f} s: {listed}; {faults} faults"
    )
    sys.exit(faults > 0)


@contextlib.contextmanager
def _surroundings(folder: Path) -> Iterator[Path]:
    """A folder with copies of the home and of the inputs, and a place for output, where the calls are made."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        place = Path(made)
        shutil.copytree(GOLDEN, place / "home")
        shutil.copytree(folder / "inputs", place / "inputs")
        (place / "out").mkdir()
        with contextlib.chdir(place / "out"):  # a nasty word may be the name of a file to write
            yield place


def _spoil(place: Path, rng: random.Random, turn: int) -> str:
    """Damage one file of the home or of the inputs, in two turns of three; says which, and how."""
    if turn % 3 == 0:
        return ""
    below = place / ("home" if rng.random() < 0.6 else "inputs")
    path = rng.choice(sorted(path for path in below.rglob("*") if path.is_file()))
    kind = rng.choice(sorted(DAMAGES))
    damage(path, kind, rng)
    return f"{path.relative_to(place)} {kind}"


def _line(template: str, place: Path, rng: random.Random, *, damaged: bool) -> list[str]:
    """The words of a call; where no file is damaged, one or two of them, the verb apart, are nasty."""
    words = shlex.split(template.format(inputs=place / "inputs", out=place / "out"))
    verb = 2 if words[0] in ("domains", "sources") else 1
    if not damaged:
        for _ in range(rng.choice((1, 1, 2))):
            if len(words) > verb:
                words[rng.randrange(verb, len(words))] = rng.choice(NASTY)
    return [word.replace("\0", "") for word in words]


def _here(line: list[str], home: Path) -> Ended:
    """Call the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["understock", *line, "--home", str(home)]
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            understock.main()
        return Ended(0, err.getvalue())
    except SystemExit as stop:
        return Ended(int(stop.code or 0), err.getvalue())
    except BaseException:
        return Ended(1, err.getvalue(), traceback.format_exc())
    finally:
        signal.alarm(0)
        sys.argv = before


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError(f"it went on for {SECONDS} s")


def _in_own_process(line: list[str], home: Path) -> Ended:
    command = [sys.executable, "-m", "understock", *line, "--home", str(home)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, errors="replace")
    except subprocess.TimeoutExpired:
        return Ended(1, "", f"it went on for {SECONDS} s")
    return Ended(done.returncode, done.stderr)


def _wrong(ended: Ended, home: Path, before: object) -> str:
    """What is wrong with the end of a call; nothing, if it is as it should be."""
    complaint = [line for line in ended.complaint.splitlines() if not _is_news(line)]
    checks: Mapping[str, Callable[[], bool]] = {
        "an exception": lambda: not ended.trace,
        f"exit code {ended.code}": lambda: ended.code in (0, 2),
        "a traceback": lambda: "Traceback" not in ended.complaint,
        f"{len(complaint)} lines of complaint": lambda: ended.code != 2 or len(complaint) == 1,
        "a line that is not ours": lambda: all(line.startswith("understock: ") for line in complaint),
        "control characters": lambda: "\x1b" not in ended.complaint,
        "something half-written": lambda: not any(HALF_WRITTEN.match(path.name) for path in home.rglob(".*")),
        "something new after a refusal": lambda: ended.code != 2 or _names(home) == before,
    }
    return next((name for name, holds in checks.items() if not holds()), "")


def _is_news(line: str) -> bool:
    """Whether a line on stderr says how far the work is, or what was left out."""
    return line.startswith("note: ") or re.match(r"\w[\w -]*: [\d,]+ of [\d,]+", line) is not None


def _names(home: Path) -> dict[str, list[str]]:
    return {kind: Home(home).names(kind) for kind in ("domains", "sources", "studies")}


if __name__ == "__main__":
    main()
