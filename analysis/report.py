"""The report of one study or several: one HTML file with all it needs inside, which opens without a network."""

import base64
import gzip
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from analysis.contents import contents
from analysis.page import Plot
from analysis.progress import Progress
from analysis.study_data import StudyData
from spaces.errors import UserError
from trainables.storage.home import writing

HERE = Path(__file__).parent
"""Where the page's style and scripts lie."""


def write_report(studies: Sequence[StudyData], output: Path | None = None) -> Path:
    """Write the studies' report, whole, to `output` (by default the first one's report.html), and return where it lies.

    Any state of a study will do: what there is too little data for says so, and how to get it.
    """
    output = output or studies[0].paths.report
    if output.is_dir():
        raise UserError(f"output {output} is a folder, not a file; give a file name such as {output / 'report.html'}")
    page = render(studies)
    with writing(output) as beside:
        beside.write_text(page, encoding="utf-8")
    return output


def render(studies: Sequence[StudyData], progress: Progress | None = None) -> str:
    """The page. Its content security policy names its scripts by digest, and allows no request at all.

    With `progress` it is the live page of `understock watch`, which may ask the server that it came from for the next one.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"json": _plot_json, "prose": _prose}
    packed, plotly_digest = _plotly()
    scripts = [script(HERE / "report.js"), *([script(HERE / "watch.js")] if progress else [])]
    return environment.get_template("report.html").render(
        name=" and ".join(study.spec.name for study in studies),
        targets=list(dict.fromkeys(study.spec.target for study in studies)),
        sections=contents(studies),
        progress=progress,
        css=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        plotly=Markup(packed),
        scripts=scripts,
        digests=[plotly_digest, *map(digest, scripts)],
    )


@lru_cache(maxsize=1)
def _plotly() -> tuple[str, str]:
    """plotly.js, gzipped and in base64, a third of its size; and the digest of what the page unpacks and runs."""
    code = _as_read(get_plotlyjs())
    return base64.b64encode(gzip.compress(code.encode(), 6, mtime=0)).decode(), digest(code)


def script(path: Path) -> Markup:
    """The script in a file, as a page holds it."""
    return Markup(_as_read(path.read_text(encoding="utf-8")))


def _as_read(code: str) -> str:
    """The script with line ends as a browser reads them, or the digest would not be that of what it runs."""
    return code.replace("\r\n", "\n").replace("\r", "\n")


def _plot_json(plot: Plot) -> Markup:
    """The figure as JSON that cannot end its script element: plotly writes <, > and / as escapes."""
    json = plot.figure.to_json(engine="json")
    assert "<" not in json, "plotly left a < in its JSON"
    return Markup(json)


def _prose(text: str) -> Markup:
    """The text, escaped, with what stands in backticks as code. As a str, for Markup escapes what `re` joins to it."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def digest(code: str) -> str:
    """What a content security policy names the script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
