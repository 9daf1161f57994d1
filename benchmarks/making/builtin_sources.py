"""Makes the source models that ship with the package: python -m benchmarks.making.builtin_sources [NAME ...]

Each takes some 20 minutes of one core; an interrupted one goes on when called again. They are trained under bfloat16
where the CPU has it, so another machine gives other digits of the same quality.
"""

import shutil
import sys
from pathlib import Path

from benchmarks.setting_up import add_builtin
from trainables.running.source_training import train_source
from trainables.sources.shelf import BUILTIN
from trainables.storage.home import Home

IMAGES = {"mdi": 192_000, "twemoji": 192_000, "mnist": 80_000}
"""How many real images each source model's critic is shown, 160 an iteration."""


def make(name: str, home: Home) -> None:
    """Train the source model of builtin domain `name` at 32 pixels, and put it into the package."""
    add_builtin(home, name)
    if name not in home.names("sources"):
        train_source(home, name, name, "small", max_images=IMAGES[name], threads=1)
    shutil.rmtree(BUILTIN / name, ignore_errors=True)
    shutil.copytree(home.source(name), BUILTIN / name)


if __name__ == "__main__":
    for each in sys.argv[1:] or IMAGES:
        make(each, Home.make(Path("~/.cache/understock-builtin")))
