import base64
import gzip
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from report_sections import ANCHORS

from analysis.report import render, write_report
from analysis.study_data import StudyData
from search.records.study import StudyPaths
from spaces.errors import UserError

ROOT = Path(__file__).parents[2]
EVIL = "<script>alert(1)</script>"
PLOTS = 12
"""Figures of a report on the study that the tests share."""


class Page(HTMLParser):
    """Ids, addresses asked for, and the text of each script of a page."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.addresses, self.scripts, self._script = [], [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.addresses += [given[name] for name in ("src", "href", "data", "action") if name in given]
        self._script = given.get("type", "text/javascript") if tag == "script" else None

    def handle_data(self, data):
        if self._script:
            self.scripts.append((self._script, data))

    def handle_endtag(self, tag):
        self._script = None


@pytest.fixture(scope="module")
def page(study):
    return render([study.data])


def write(study, output=None):
    return write_report([study.data], output)


@pytest.mark.slow
def test_the_report_goes_to_the_studys_own_place(study):
    assert write(study) == study.paths.report
    assert study.paths.report.read_text().startswith("<!doctype html>")
    assert list(study.paths.root.glob(".report*")) == []


@pytest.mark.slow
def test_the_report_goes_where_it_is_sent(study, tmp_path):
    output = tmp_path / "deep" / "down.html"
    assert write(study, output) == output
    assert output.is_file()


def test_a_folder_as_output_is_refused_with_a_way_out(study, tmp_path):
    with pytest.raises(UserError, match=r"is a folder, not a file; give a file name such as .*report\.html"):
        write(study, tmp_path)


@pytest.mark.slow
def test_the_page_asks_for_nothing_outside_itself(page):
    addresses = Page(page).addresses
    assert addresses
    inside = ("#", "data:image/png;base64,", "data:image/webp;base64,")
    assert all(address.startswith(inside) for address in addresses), addresses
    assert "@import" not in page
    assert "url(http" not in page


def unpacked(page):
    """plotly.js, as the page unpacks it."""
    (packed,) = (body for kind, body in Page(page).scripts if kind == "text/plain")
    return gzip.decompress(base64.b64decode(packed)).decode()


@pytest.mark.slow
def test_plotly_is_inside_once_and_packed(page):
    assert "* plotly.js v" in unpacked(page)
    assert "* plotly.js v" not in page
    assert len(page) < 3_000_000  # plotly.js alone has 4.8 million


@pytest.mark.slow
def test_two_reports_of_the_same_study_are_the_same(page, study):
    assert render([study.data]) == page


def test_the_policy_allows_exactly_plotly_and_the_pages_own_script(page):
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    scripts = [unpacked(page), *(body for kind, body in Page(page).scripts if kind == "text/javascript")]
    digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in scripts]
    assert "default-src 'none'" in policy
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert len(digests) == 2


def test_every_figure_is_json_with_a_description_and_a_table_behind_it(page):
    plots = [json.loads(body) for kind, body in Page(page).scripts if kind == "application/json"]
    assert len(plots) == PLOTS
    assert all(plot["data"] for plot in plots)
    assert len(re.findall(r'role="img" aria-label="[^"]+"', page)) == PLOTS
    for section in page.split("<section ")[1:]:
        assert "data-plot" not in section or "<table>" in section, section[:80]


def test_what_to_type_in_a_sentence_is_code(new_study):
    study = new_study()
    assert "go on with <code>understock resume phosphor-1</code>" in render([study.data])


def test_a_command_wraps_between_words_only(page):
    assert "<span>--threads-per-trial</span> <span>1</span>" in page


@pytest.mark.slow
def test_names_and_errors_from_the_data_are_escaped_everywhere(study, tmp_path):
    paths = StudyPaths(shutil.copytree(study.paths.root, tmp_path / "study"))
    for path in paths.evaluations.glob("*.parquet"):
        table = pq.read_table(path)
        for column in ("source", "error", "device"):
            safe = pa.array(["mdi", "cpu", "CUDA out of memory"])
            values = pc.if_else(pc.is_in(table[column], safe), EVIL, table[column])
            table = table.set_column(table.schema.get_field_index(column), table.field(column), values)
        pq.write_table(table, path)
    spec = study.spec.model_copy(update={"name": EVIL, "target": EVIL, "versions": {EVIL: EVIL}})
    page = render(StudyData.of(study.home, [(paths, spec), (study.paths, study.spec)]))
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    plots = [json.loads(body) for kind, body in Page(page).scripts if kind == "application/json"]
    assert EVIL not in str(plots)
    assert "trial 0: &lt;script&gt;alert(1)&lt;/script&gt;" in str(plots)


@pytest.mark.parametrize("fill", ["none", "one", "failed"])
def test_any_state_of_a_study_gives_a_page(new_study, fill):
    study = new_study()
    if fill == "one":
        study.trial(0, "mdi", "both", [90], status="running")
    if fill == "failed":
        study.trial(0, "mdi", "both", [], status="failed")
    assert set(ANCHORS) <= set(Page(render([study.data])).ids)


@pytest.mark.slow
def test_reading_results_starts_neither_torch_nor_ray():
    modules = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "analysis").rglob("*.py")]
    draws = ("__init__", "playing", "classifying")  # the latter two use models, and are loaded by their verbs alone
    names = ", ".join(str(path).replace("/", ".") for path in modules if path.name not in draws)
    code = f"import sys, verbs.reports, {names}; print(*{{'torch', 'ray'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


LOOK = """<pre id="seen"></pre><iframe id="page" src="{url}" style="width:{width}px;height:16000px;border:0"></iframe>
<script>
document.getElementById("page").onload = () => {{ const wait = setInterval(() => {{
  const page = document.getElementById("page").contentDocument, root = page.documentElement;
  if (!root.dataset.drawn) return;
  clearInterval(wait);
  document.getElementById("seen").textContent = JSON.stringify({{
    width: root.clientWidth, needed: root.scrollWidth,
    sections: [...page.querySelectorAll("section")].map(s => s.id),
    plots: [...page.querySelectorAll(".plot")].map(p => [p.clientWidth, p.querySelector(".main-svg")?.clientWidth]),
    marks: page.querySelectorAll(".scatterlayer .point, .heatmaplayer image").length,
  }});
}}, 100); }};
</script>"""
"""A page that looks at the report in a frame, which can be narrower than the 500 pixels that a headless window is."""


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1600])
def test_a_browser_draws_every_section_without_errors_or_sideways_scrolling(study, browse, tmp_path, width):
    looker = tmp_path / "look.html"
    looker.write_text(LOOK.format(url=write(study).as_uri(), width=width))
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', browse(looker.as_uri()), re.DOTALL)[1]))
    assert seen["sections"] == ANCHORS
    assert width - 20 <= seen["width"] >= seen["needed"], seen
    assert [place for place, _ in seen["plots"]] == [drawn for _, drawn in seen["plots"]], seen
    assert len(seen["plots"]) == PLOTS
    assert seen["marks"] > 100


@pytest.mark.browser
def test_a_browser_draws_the_figures_of_a_study_with_sources_as_they_are(baseline, browse, tmp_path):
    looker = tmp_path / "look.html"
    looker.write_text(LOOK.format(url=write(baseline).as_uri(), width=1200))
    seen = json.loads(html.unescape(re.search(r'<pre id="seen">(.*?)</pre>', browse(looker.as_uri()), re.DOTALL)[1]))
    assert seen["sections"] == ANCHORS
    assert [place for place, _ in seen["plots"]] == [drawn for _, drawn in seen["plots"]], seen
    assert len(seen["plots"]) == PLOTS
