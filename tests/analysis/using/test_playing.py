"""The page to play with a model: what it shows, what it refuses, and how it ends."""

import http.client
import io
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.report import digest
from analysis.serving import Answer, Server
from analysis.using.playing import PlayPage
from analysis.using.winner import model_path
from search.records.study import StudyPaths
from spaces.errors import UserError
from trainables.networks.models import read_model, write_model
from trainables.storage.home import Home
from trainables.using.playing import Player

ROOT = Path(__file__).parents[3]
NASTY = "</option><script>alert(1)</script>"


@pytest.fixture
def page(home: Home, finished: StudyPaths) -> PlayPage:
    return PlayPage("s", Player(model_path(home, "s")))


@pytest.fixture
def of_classes(home: Home, finish: Callable[..., StudyPaths], tmp_path: Path) -> PlayPage:
    """The page of a conditional model, one of whose classes has a name made to break out of the page."""
    finish(network={"resolution": 32, "width": 2, "z_dim": 8, "classes": 2})
    model, facts = read_model(model_path(home, "s"))
    write_model(tmp_path / "m", replace(model, class_names=("a", NASTY)), method=facts.method, config=facts.config)
    return PlayPage("s", Player(tmp_path / "m"))


@pytest.fixture
def serve() -> Iterator[Callable[[PlayPage], Server]]:
    started: list[Server] = []

    def start(page: PlayPage) -> Server:
        server = Server(page, 0)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def pixels(answer: Answer) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    assert (answer.status, answer.kind) == (HTTPStatus.OK, "image/png"), answer.body
    return np.asarray(Image.open(io.BytesIO(answer.body)))


def test_a_picture_is_what_sample_draws_of_that_seed(page: PlayPage, home: Home) -> None:
    sheet = pixels(page("/picture.png?seed=3&truncation=0.5&class=", {}))
    drawn = Player(model_path(home, "s"))._sampler.drawn(16, 3, truncation=0.5).images
    assert sheet.shape == (134, 134, 3)  # 4 by 4 of 32 pixels
    assert np.array_equal(sheet[:32, :32], drawn[0].permute(1, 2, 0).numpy())
    assert not np.array_equal(sheet, pixels(page("/picture.png?seed=4&truncation=0.5", {})))
    assert not np.array_equal(sheet, pixels(page("/picture.png?seed=3", {})))


REFUSED = {
    "seed=-1": "seed -1 will not do",
    "seed=4294967296": "seed 4294967296 will not do",
    "seed=x": "fields are seed, truncation and class, each a number",
    "seed=" + "9" * 10_000: "will not do",
    "truncation=nan": "truncation nan will not do",
    "truncation=1e9": "will not do",
    "class=0": "class 0 is not one of the model's 0",
    "n=100000": "unknown field 'n'",
    "seed=1&seed=2&seed=3&seed=4": "Max number of fields exceeded",
}


def test_what_can_not_be_drawn_is_refused_in_a_line(page: PlayPage) -> None:
    for query, said in REFUSED.items():
        answer = page(f"/picture.png?{query}", {})
        assert answer.status == HTTPStatus.BAD_REQUEST, query
        assert said in answer.body.decode(), query


def test_names_are_escaped_and_classes_can_be_chosen(of_classes: PlayPage) -> None:
    text = of_classes("/?class=1", {}).body.decode()
    assert NASTY not in text
    assert '<option value="1" selected>&lt;/option&gt;&lt;script&gt;alert(1)&lt;/script&gt;</option>' in text
    one, other = (pixels(of_classes(f"/picture.png?class={label}", {})) for label in (0, 1))
    assert not np.array_equal(one, other)


def test_there_is_nothing_else(page: PlayPage) -> None:
    assert page("/../model.json", {}).status == HTTPStatus.NOT_FOUND


class Slow(Player):
    """Draws nothing until it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go = threading.Event()

    def picture(self, seed: int, truncation: float = 1.0, label: int | None = None) -> bytes:
        assert self.go.wait(30)
        return super().picture(seed, truncation, label)


def test_requests_beyond_a_few_at_once_are_sent_away(home: Home, finished: StudyPaths) -> None:
    slow = Slow(model_path(home, "s"))
    page, found = PlayPage("s", slow), queue.Queue[HTTPStatus]()
    threads = [threading.Thread(target=lambda: found.put(page("/picture.png", {}).status)) for _ in range(6)]
    for thread in threads:
        thread.start()
    assert [found.get(timeout=30) for _ in range(2)] == [HTTPStatus.SERVICE_UNAVAILABLE] * 2  # of six, four may wait
    slow.go.set()
    assert [found.get(timeout=30) for _ in range(4)] == [HTTPStatus.OK] * 4
    for thread in threads:
        thread.join()
    assert page("/picture.png", {}).status == HTTPStatus.OK


def test_a_page_elsewhere_gets_nothing(page: PlayPage, serve: Callable[[PlayPage], Server]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", serve(page).server_port, timeout=30)
    connection.request("GET", "/picture.png", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403
    connection.close()


def test_a_model_that_translates_has_nothing_to_play_with(tmp_path: Path) -> None:
    from trainables.networks.models import Model

    write_model(tmp_path / "m", Model({}, {}), method="untranslated", config={})
    with pytest.raises(UserError, match="translates images, and has no z"):
        Player(tmp_path / "m")


class Clicked(PlayPage):
    """The page on which somebody asks for the next seed as soon as it is there."""

    def _page(self, seed: int, truncation: float, label: int | None) -> str:
        text = super()._page(seed, truncation, label)
        before = text.split("<script>")[1].split("</script>")[0]
        after = before + "document.getElementById('next').click();"
        return (
            text.replace(before, after)
            .replace(digest(before).replace("+", "&#43;"), digest(after))
            .replace(digest(before), digest(after))
        )


@pytest.mark.browser
def test_a_browser_shows_the_next_seed(
    home: Home, finished: StudyPaths, serve: Callable[[PlayPage], Server], browse: Callable[[str], str]
) -> None:
    found = browse(serve(Clicked("s", Player(model_path(home, "s")))).address)
    assert 'src="/picture.png?seed=1&amp;truncation=1"' in found
    assert 'class=""' in found  # it came, and is no longer that of the old settings
    assert 'id="lost" class="note" role="status" hidden=""' in found


@pytest.mark.slow
def test_ctrl_c_ends_it_with_a_line(home: Home, finished: StudyPaths) -> None:
    command = [sys.executable, "-m", "understock", "play", "s", "--port", "0", "--home", str(home.root)]
    pipe, environment = subprocess.PIPE, os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert line.startswith("generator of s at http://127.0.0.1:")
    assert (process.returncode, said) == (0, "the page is gone\n")
