"""A page to play with a model: seed, truncation and class, and what it makes of them."""

import threading
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.report import HERE, digest, script
from analysis.serving import Answer
from spaces.errors import UserError
from trainables.using.playing import LARGEST_SEED, Player

_HERE = Path(__file__).parent
_WAITING = 4
"""Requests that may wait for a picture, the one that is drawn among them; further ones are sent away."""
_FIELDS = ("seed", "truncation", "class")


class PlayPage:
    """The page of a model, called `name`, and its pictures: at "/" and "/picture.png", with the settings in the query."""

    def __init__(self, name: str, player: Player) -> None:
        self._name, self._player = name, player
        self._lock, self._room = threading.Lock(), threading.BoundedSemaphore(_WAITING)

    def __call__(self, path: str, headers: Mapping[str, str]) -> Answer:
        """The page, or one picture at a time: a request is refused where its settings can't be, or too many wait."""
        asked = urlsplit(path)
        if asked.path not in ("/", "/picture.png"):
            return Answer(HTTPStatus.NOT_FOUND, b"There is one page: /")
        try:
            settings = self._settings(asked.query)
            if asked.path == "/":
                return Answer(HTTPStatus.OK, self._page(*settings).encode(), "text/html; charset=utf-8")
            return self._picture(*settings)
        except UserError as error:
            return Answer(HTTPStatus.BAD_REQUEST, str(error).encode())

    def _settings(self, query: str) -> tuple[int, float, int | None]:
        """Seed, truncation and class of a query, or those of the beginning; UserError for what can't be."""
        try:
            given = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=len(_FIELDS)))
            if unknown := given.keys() - set(_FIELDS):
                raise ValueError(f"unknown field {min(unknown)!r:.40}")
            label = given.get("class", "")
            seed = int(given.get("seed", "0")[:20])
            return seed, float(given.get("truncation", "1")[:20]), int(label[:20]) if label else None
        except ValueError as error:
            raise UserError(f"{error}; fields are seed, truncation and class, each a number") from None

    def _picture(self, seed: int, truncation: float, label: int | None) -> Answer:
        if not self._room.acquire(blocking=False):
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"Too many pictures were asked for at once; try again.")
        try:
            with self._lock:
                return Answer(HTTPStatus.OK, self._player.picture(seed, truncation, label), "image/png")
        finally:
            self._room.release()

    def _page(self, seed: int, truncation: float, label: int | None) -> str:
        code = script(_HERE / "play.js")
        environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
        asked = {"seed": seed, "truncation": truncation, "class": "" if label is None else label}
        return environment.get_template("play.html").render(
            name=self._name,
            classes=self._player.classes,
            asked=asked,
            label=label,
            query=urlencode(asked),
            largest_seed=LARGEST_SEED,
            css=Markup((HERE / "report.css").read_text(encoding="utf-8")),
            script=code,
            digest=digest(code),
        )
