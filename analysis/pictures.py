"""Every figure of a report as a PNG, drawn by a Chromium on this machine, as plotly has no drawing of its own."""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from plotly.offline import get_plotlyjs

from analysis.page import Image, Plot, Section
from spaces.errors import UserError
from trainables.storage.home import writing, writing_folder

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_VARIABLE = "UNDERSTOCK_CHROME"
WIDTH, SCALE = 1000, 2
"""The pixels that a figure is wide as it is laid out, and how many times as many it has in the file."""
TIMEOUT_SECONDS = 180

_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--virtual-time-budget=120000",
    "--dump-dom",
)

_PAGE = """<!doctype html><meta charset="utf-8"><body><pre id="drawn"></pre><script>{plotly}</script>
<script type="application/json" id="plots">{plots}</script><script>
(async () => {{
  const drawn = [];
  for (const plot of JSON.parse(document.getElementById("plots").textContent)) {{
    const layout = {{...plot.layout, width: {width}, paper_bgcolor: "#ffffff"}};
    const size = {{format: "png", scale: {scale}, width: {width}, height: layout.height}};
    drawn.push(await Plotly.toImage({{data: plot.data, layout}}, size));
  }}
  document.getElementById("drawn").textContent = JSON.stringify(drawn);
}})();
</script>"""


def write_pictures(sections: Sequence[Section], folder: Path) -> Path:
    """A new folder of PNGs, or one in the place of what an earlier call wrote: figures and samples, named by section.

    UserError if there is no browser, it fails, or the folder holds other things.
    """
    if folder.exists() and not (folder.is_dir() and all(_ours(path) for path in folder.iterdir())):
        raise UserError(f"output {folder} is there already, and not a folder of figures; give one that is not")
    found = list(_named(sections))
    plots = [(name, picture) for name, picture in found if isinstance(picture, Plot)]
    drawn = draw([plot for _, plot in plots]) if plots else []
    with writing_folder(folder) as beside:
        for (name, _), data in zip(plots, drawn, strict=True):
            (beside / f"{name}.png").write_bytes(data)
        for name, picture in found:
            if isinstance(picture, Image):
                kind, _, packed = picture.uri.partition(";base64,")
                (beside / f"{name}.{kind.removeprefix('data:image/')}").write_bytes(base64.b64decode(packed))
    return folder


def _ours(path: Path) -> bool:
    return bool(re.fullmatch(r"\d\d-[a-z0-9._-]+\.(png|webp)", path.name))


def _named(sections: Sequence[Section]) -> Iterator[tuple[str, Plot | Image]]:
    """Each picture with its name, of section, block, place and heading: "02-cost-1-2-against-seconds-of-training"."""
    for number, section in enumerate(sections, 1):
        for part, block in enumerate(section.blocks, 1):
            pictures: list[Plot | Image] = [*block.plots, *block.images]
            for place, picture in enumerate(pictures, 1):
                words = picture.heading if isinstance(picture, Plot) else picture.caption
                slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:60].strip("-")
                yield f"{number:02d}-{section.anchor}-{part}-{place}-{slug}", picture


def draw(plots: Sequence[Plot]) -> list[bytes]:
    """A PNG of each figure; UserError if there is no browser, or it fails."""
    browser = find_browser()
    figures = ",".join(plot.figure.to_json(engine="json") for plot in plots)
    page = _PAGE.format(plotly=get_plotlyjs(), plots=f"[{figures}]", width=WIDTH, scale=SCALE)
    with tempfile.TemporaryDirectory() as place:
        with writing(Path(place) / "draw.html") as beside:
            beside.write_text(page, encoding="utf-8")
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root its sandbox does not start
        command = [browser, *_FLAGS, *flags, f"--user-data-dir={place}/profile", (Path(place) / "draw.html").as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"{browser} could not draw the figures ({error}); --format html needs no browser") from None
    found = re.search(r'<pre id="drawn">(.+?)</pre>', done.stdout, re.DOTALL)
    if found is None:
        said = " ".join(done.stderr.split())[-200:]
        raise UserError(
            f"{browser} drew no figure (exit code {done.returncode}: {said}); --format html needs no browser"
        )
    return [base64.b64decode(uri.partition(";base64,")[2]) for uri in json.loads(html.unescape(found[1]))]


def find_browser() -> str:
    """A Chromium or Chrome of this machine; UserError where there is none."""
    named = os.environ.get(BROWSER_VARIABLE)
    found = next((path for name in ([named] if named else BROWSERS) if (path := shutil.which(name))), None)
    if found is None:
        looked = f"{BROWSER_VARIABLE}={named} is no program" if named else f"none of {', '.join(BROWSERS)} is on PATH"
        raise UserError(
            f"PNGs are drawn by a Chromium or Chrome, and {looked}; install one (Debian: apt install chromium), or name it in "
            f"${BROWSER_VARIABLE}; --format html needs none"
        )
    return found
