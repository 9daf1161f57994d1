"""One process at a time on a folder of an object store, wherever it runs: a small object that says who, kept fresh.

No two machines' clocks are compared. Whoever finds a lease watches it: if it moves, its holder lives, and is busy; if it
stands still for as long as no living holder would let it, the holder is dead, and the lease is taken over, by a
conditional write that one taker alone can win.
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
from trainables.storage.mirror import Mirror
from trainables.storage.store import ChangedError, StoreError

BEAT_SECONDS = 5.0
"""Between two signs of life."""
DEAD_SECONDS = 30.0
"""Without one: whoever waits takes over after so long, and whoever can't give one has to stop."""


class Lease:
    """The object `.lease` of a folder; held inside a `with` block."""

    def __init__(self, mirror: Mirror, folder: Path, otherwise: str) -> None:
        self._mirror, self._store = mirror, mirror.store
        self._name, self._otherwise = f"{mirror.name(folder)}/.lease", otherwise
        self._holder, self._beats = secrets.token_hex(8), 0
        self._lost, self._over = False, threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """UserError with `otherwise` if somebody else lives and holds it, or takes it while the block runs.

        In the latter case the main thread is interrupted first, as by Ctrl-C. The caller holds the folder's lock on this
        machine, so a lease from this machine is that of a dead process.
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
        while True:
            try:
                return self._store.put(self._name, self._sign(), IfNoneMatch="*")
            except ChangedError:
                found = self._store.read(self._name)
            if found is None:
                continue
            holder = json.loads(found[0])
            if holder["mirror"] != self._mirror.id and not self._is_dead(holder, found[1]):
                continue
            try:
                return self._store.put(self._name, self._sign(), IfMatch=found[1])
            except ChangedError:
                raise UserError(self._otherwise) from None

    def _is_dead(self, holder: dict[str, str], etag: str) -> bool:
        """Whether the lease stands still for DEAD_SECONDS; False if it is given up meanwhile, UserError once it moves."""
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
        self._beats += 1
        who = f"process {os.getpid()} on {socket.gethostname()}"
        about = {"who": who, "mirror": self._mirror.id, "holder": self._holder, "beats": self._beats}
        return json.dumps(about).encode()

    def _beat(self) -> None:
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
        """Whether the lease is our own beat, whose confirmation did not reach us."""
        found = self._store.read(self._name)
        if found is None or json.loads(found[0])["holder"] != self._holder:
            return False
        self._etag = found[1]
        return True
