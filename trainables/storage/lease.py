"""Leases let one process at a time work on a folder of an object store, on whatever machine it runs.

A lease is a small object in that folder. It says who holds it, and its holder writes it anew every few seconds. Whoever
finds a lease watches it: if it changes, its holder lives and is at work; if it stays the same for longer than a living
holder would let it, the holder is dead, and the lease is taken over by a conditional write, which one taker alone can
win. No two machines' clocks are ever compared.
"""

import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spaces.errors import UserError
from spaces.plain_json import parse_json
from trainables.storage.mirror import Mirror
from trainables.storage.store import ChangedError, StoreError

BEAT_SECONDS = 5.0
"""Seconds between two writes of a lease by its holder: its signs of life."""
DEAD_SECONDS = 30.0
"""Seconds without a sign of life after which who waits takes the lease over, and a holder that can't give one stops."""


class Lease:
    """The lease of one folder: an object named `.lease` in it. A process holds it in a `with lease.held():` block."""

    def __init__(self, mirror: Mirror, folder: Path, otherwise: str) -> None:
        self._mirror, self._store = mirror, mirror.store
        self._name, self._otherwise = f"{mirror.name(folder)}/.lease", otherwise
        self._holder, self._beats = secrets.token_hex(8), 0
        self._lost, self._over = False, threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease for the length of the block; a thread keeps it fresh.

        The caller holds the folder's lock on this machine already, so a lease of this machine is that of a dead
        process. Raises UserError with the message `otherwise` if a living process elsewhere holds it, or if one takes
        it while the block runs: then the main thread is interrupted first, as by Ctrl-C.
        """
        self._etag = self._claim()
        beating = threading.Thread(target=self._beat, name="lease", daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._over.set()
            beating.join()
            if self._lost:
                raise UserError(f"this process lost its hold, and stopped: {self._otherwise}")
            with suppress(ChangedError, StoreError):
                self._store.delete([self._name])

    def _claim(self) -> str:
        """Write the lease as its new holder, and give its ETag; UserError if another process holds it or was faster."""
        while True:
            try:
                return self._store.put(self._name, self._sign(), IfNoneMatch="*")
            except ChangedError:
                found = self._store.read(self._name)
            if found is None:
                continue
            holder = _read(found[0])
            if holder["mirror"] != self._mirror.id and not self._is_dead(holder, found[1]):
                continue
            try:
                return self._store.put(self._name, self._sign(), IfMatch=found[1])
            except ChangedError:
                raise UserError(self._otherwise) from None

    def _is_dead(self, holder: dict[str, str], etag: str) -> bool:
        """Watch a lease for DEAD_SECONDS: True if it stays the same, False if given up; UserError once it changes."""
        seconds = f"{DEAD_SECONDS:.0f} s"
        print(f"last run by {holder['who']}; waiting {seconds} to see whether that still lives", file=sys.stderr)
        until = time.monotonic() + DEAD_SECONDS
        while time.monotonic() < until:
            time.sleep(BEAT_SECONDS / 5)
            found = self._store.read(self._name)
            if found is None:
                return False
            if found[1] != etag:
                raise UserError(self._otherwise)
        return True

    def _sign(self) -> bytes:
        """Give the lease's next content; it counts up, so that no two are alike."""
        self._beats += 1
        who = f"process {os.getpid()} on {socket.gethostname()}"
        about = {"who": who, "mirror": self._mirror.id, "holder": self._holder, "beats": self._beats}
        return json.dumps(about).encode()

    def _beat(self) -> None:
        """Write the lease anew until the block is over; if it is lost, interrupt the main thread."""
        last = time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._etag = self._store.put(self._name, self._sign(), IfMatch=self._etag)
                last = time.monotonic()
            except ChangedError:
                self._lost = not self._is_ours()
            except StoreError:
                self._lost = time.monotonic() - last > DEAD_SECONDS
            if self._lost:
                return signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # wakes it if it sleeps

    def _is_ours(self) -> bool:
        """Tell whether the lease holds our own last write, which the store took without our hearing of it."""
        found = self._store.read(self._name)
        if found is None or _read(found[0])["holder"] != self._holder:
            return False
        self._etag = found[1]
        return True


def _read(content: bytes) -> dict[str, str]:
    """What a lease says; of one that nobody here wrote, nothing that anybody is: it counts as dead when it stays the same."""
    try:
        said = parse_json(content)
        return {name: str(said[name]) for name in ("who", "mirror", "holder")}
    except (ValueError, KeyError, TypeError):
        return dict.fromkeys(("who", "mirror", "holder"), "nobody known")
