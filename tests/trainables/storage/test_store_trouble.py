"""A store that does not answer, or whose answers are lost: what is asked again, for how long, and who stops."""

import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from s3_proxy import Proxy, always, once

from spaces.errors import UserError
from trainables.storage import lease, store
from trainables.storage.home import Home, only_process, writing
from trainables.storage.mirror import mirror_of
from trainables.storage.store import ObjectStore, StoreError, UnreachableError

pytestmark = pytest.mark.s3

Machine = Callable[[str], Home]


@pytest.fixture
def there(machine: Machine, s3_trouble: Proxy) -> ObjectStore:
    """The store of the test's home, which gives no trouble yet."""
    return ObjectStore.at(str(machine("a")))


@pytest.mark.slow
def test_a_store_that_starts_again_is_waited_for_and_that_is_said_once(
    there: ObjectStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], s3_server: dict[str, str]
) -> None:
    there.put("a", b"a")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    store._client.cache_clear()
    with ExitStack() as stack:
        Timer(9, lambda: stack.enter_context(Proxy(s3_server["AWS_ENDPOINT_URL"], port))).start()
        assert list(there.objects("")) == ["a"]
    said = capsys.readouterr().err
    assert said.count("out of reach") == said.count("trying again for 5") == 1, said


def test_a_mute_store_is_out_of_reach_once_patience_is_spent(
    there: ObjectStore, s3_trouble: Proxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seconds in (("_PATIENCE_SECONDS", 2.0), ("_ANSWER_SECONDS", 0.5), ("_QUIET_SECONDS", 0.4)):
        monkeypatch.setattr(store, name, seconds)
    s3_trouble.trouble = always("mute", "GET")
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="out of reach: Read timeout"):
        there.read("a")
    assert 1.9 < time.monotonic() - began < 4
    assert "trying again for 1 s" in capsys.readouterr().err


@pytest.mark.parametrize("status", [403, 501])
def test_what_a_store_refuses_is_not_asked_again(
    there: ObjectStore, s3_trouble: Proxy, status: int, tmp_path: Path
) -> None:
    s3_trouble.trouble = always(status, "PUT")
    (tmp_path / "file").write_text("a")
    for write in (lambda: there.put("a", b"a"), lambda: there.upload("a", tmp_path / "file")):
        s3_trouble.asked.clear()
        with pytest.raises(StoreError, match=r"^home s3://\S+: trouble \(") as refused:
            write()
        assert not isinstance(refused.value, UnreachableError)
        assert len(s3_trouble.asked) == 1, s3_trouble.asked


def test_a_hurried_store_is_asked_once(there: ObjectStore, s3_trouble: Proxy) -> None:
    s3_trouble.asked.clear()
    s3_trouble.trouble = always(503, "PUT")
    with pytest.raises(UnreachableError):
        replace(there, hurried=True).put("a", b"a")
    assert len(s3_trouble.asked) == 1


def test_a_fenced_write_whose_answer_was_lost_counts_as_ours(machine: Machine, s3_trouble: Proxy) -> None:
    path = machine("a").study("s") / "journal"
    mirror = mirror_of(path)
    assert mirror is not None
    with writing(path) as beside:
        beside.write_text("1")
    path.write_text("12")
    s3_trouble.trouble = once("lost", "PUT", "journal")
    mirror.put(path, path, fenced=True)
    assert mirror.content(path) == b"12"
    assert sum("PUT" in asked for asked in s3_trouble.asked) == 3


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases whose holders give signs of life ten times a second, and are dead after a second."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lease, "DEAD_SECONDS", 1.0)


def test_a_lease_taken_over_by_a_write_whose_answer_was_lost_is_held(
    there: ObjectStore, machine: Machine, s3_trouble: Proxy, quick: None
) -> None:
    there.put("studies/s/.lease", json.dumps({"who": "a dead one", "mirror": "x", "holder": "y"}).encode())
    lose = once("lost", "PUT", ".lease")
    s3_trouble.trouble = lambda method, path: lose(method, path) if puts(s3_trouble) == 3 else None
    with only_process(machine("a").study("s"), "busy"):
        assert puts(s3_trouble) >= 4
    assert there.read("studies/s/.lease") is None


def puts(proxy: Proxy) -> int:
    """How often a lease was written, or was to be."""
    return sum(asked.startswith("PUT") and asked.endswith(".lease") for asked in proxy.asked)


@pytest.mark.parametrize("status", [403, 503])
def test_a_holder_whose_signs_of_life_are_neither_taken_nor_told_from_anothers_is_interrupted(
    machine: Machine, s3_trouble: Proxy, quick: None, status: int
) -> None:
    interrupted = False
    lost = pytest.raises(UnreachableError, match="no sign of life of this process was taken for 1 s: home s3://")
    with lost, only_process(machine("a").study("s"), "busy"):
        refused, unread = always(412, "PUT", ".lease"), always(status, "GET", ".lease")
        s3_trouble.trouble = lambda method, path: refused(method, path) or unread(method, path)
        try:
            time.sleep(5)
        except KeyboardInterrupt:
            interrupted = True
    assert interrupted


def test_a_sign_of_life_that_hangs_does_not_hold_up_the_end(
    machine: Machine, s3_trouble: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(store, "_HURRIED_SECONDS", 0.5)
    with only_process(machine("a").study("s"), "busy"):
        s3_trouble.trouble = always("mute", "PUT", ".lease")
        time.sleep(0.3)
        ended = time.monotonic()
    assert time.monotonic() - ended < 3


def test_a_lease_is_not_dead_by_silence_of_the_store(
    there: ObjectStore, machine: Machine, s3_trouble: Proxy, quick: None
) -> None:
    held = {"who": "a living one", "mirror": "x", "holder": "y"}
    there.put("studies/s/.lease", json.dumps(held).encode())
    read: list[float] = []

    def silent_for_two_seconds(method: str, path: str) -> int | None:
        """From the second look at the lease on."""
        if method == "GET" and path.endswith(".lease"):
            read.append(time.monotonic())
            if len(read) == 1:
                Timer(2.5, there.put, ("studies/s/.lease", json.dumps(held | {"beats": 2}).encode())).start()
        return 503 if len(read) > 1 and time.monotonic() < read[0] + 2 else None

    folder = machine("b").study("s")
    s3_trouble.trouble = silent_for_two_seconds
    with pytest.raises(UserError, match="busy"), only_process(folder, "busy"):
        pytest.fail("its holder could not be heard")
