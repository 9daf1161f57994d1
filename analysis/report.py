"""The report of a study: one HTML file with all it needs inside, which opens without a network."""

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from analysis.page import Plot
from analysis.sections import sections
from search.results import load
from search.study import StudyPaths, StudySpec
from spaces.errors import UserError
from trainables.home import writing

_HERE = Path(__file__).parent
_DRAW = """
for (const figure of document.querySelectorAll("figure[data-plot]")) {
  const plot = JSON.parse(document.getElementById(figure.dataset.plot).textContent);
  const place = figure.querySelector(".plot");
  Plotly.newPlot(place, plot.data, plot.layout, {displayModeBar: false}).then(() =>
    new ResizeObserver(() => Plotly.Plots.resize(place)).observe(place));
}
"""


def write_report(paths: StudyPaths, spec: StudySpec, output: Path | None = None) -> Path:
    """Write the study's report, whole, to `output` (by default the study's report.html), and return where it lies.

    Any state of the study will do: what there is too little data for says so, and how to get it.
    """
    output = output or paths.report
    if output.is_dir():
        raise UserError(f"output {output} is a folder, not a file; give a file name such as {output / 'report.html'}")
    page = render(paths, spec)
    with writing(output) as beside:
        beside.write_text(page, encoding="utf-8")
    return output


def render(paths: StudyPaths, spec: StudySpec) -> str:
    """The page. Its content security policy names its two scripts by digest and allows no request at all."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"json": _plot_json, "prose": _prose}
    # line ends as a browser reads them, or the digest would not be that of what it runs
    scripts = [Markup(script.replace("\r\n", "\n").replace("\r", "\n")) for script in (get_plotlyjs(), _DRAW)]
    return environment.get_template("report.html").render(
        name=spec.name,
        target=spec.target,
        sections=sections(load(paths.evaluations), spec, paths),
        css=Markup((_HERE / "report.css").read_text(encoding="utf-8")),
        scripts=scripts,
        digests=[_digest(script) for script in scripts],
    )


def _plot_json(plot: Plot) -> Markup:
    """The figure as JSON that cannot end its script element: plotly writes <, > and / as escapes."""
    json = plot.figure.to_json(engine="json")
    assert "<" not in json, "plotly left a < in its JSON"
    return Markup(json)


def _prose(text: str) -> Markup:
    """The text, escaped, with what stands in backticks as code. As a str, for Markup escapes what `re` joins to it."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
