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
from dataclasses import replace
from pathlib import Path

from spaces.errors import UserError
from spaces.plain_json import parse_json
from trainables.storage.mirror import Mirror
from trainables.storage.store import ChangedError, ObjectStore, StoreError, UnreachableError

BEAT_SECONDS = 5.0
"""Seconds between two writes of a lease by its holder: its signs of life."""
DEAD_SECONDS = 30.0
"""Seconds without a sign of life after which who waits takes the lease over, and a holder that can't give one stops."""

_END_SECONDS = 15.0
"""How long the end of a block waits for a sign of life that is on its way; it comes to nothing once the lease is gone."""


class Lease:
    """The lease of one folder: an object named `.lease` in it. A process holds it in a `with lease.held():` block."""

    def __init__(self, mirror: Mirror, folder: Path, otherwise: str) -> None:
        self._store, self._place = mirror.store, _place(mirror)
        self._hurried = replace(mirror.store, hurried=True)  # a sign of life that is late is none
        self._name, self._otherwise = f"{mirror.name(folder)}/.lease", otherwise
        self._holder, self._beats = secrets.token_hex(8), 0
        self._lost: UserError | None = None
        self._over = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease for the length of the block; a thread keeps it fresh.

        The caller holds the folder's lock on this machine already, so a lease of this machine is that of a dead
        process. Raises UserError with the message `otherwise` if a living process elsewhere holds it, or if one takes
        it while the block runs, and UnreachableError if the store takes no sign of life for DEAD_SECONDS: then the main
        thread is interrupted first, as by Ctrl-C.
        """
        self._etag = self._claim()
        beating = threading.Thread(target=self._beat, name="lease", daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._over.set()
            beating.join(_END_SECONDS)
            if self._lost:
                raise self._lost
            with suppress(StoreError):  # out of reach: once it is not written any more, it is dead
                self._give_back()

    def _give_back(self) -> None:
        """Remove the lease; UserError if it is another's: this process gave no sign of life for too long, and is told now.

        It is renewed first, on condition that it is ours: then nobody else takes it while it is removed. Not every store knows
        a removal on condition.
        """
        try:
            if not self._renew():
                self._renew()
        except ChangedError:
            raise self._taken() from None
        self._hurried.delete([self._name])

    def _taken(self) -> UserError:
        return UserError(f"this process lost its hold, and stopped: {self._otherwise}")

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
            elsewhere = any(holder[name] != here for name, here in self._place.items())
            if elsewhere and not self._is_dead(holder, found[1]):
                continue
            try:
                return self._store.put(self._name, self._sign(), IfMatch=found[1])
            except ChangedError:
                if self._is_ours(self._store):
                    return self._etag
                raise UserError(self._otherwise) from None

    def _is_dead(self, holder: dict[str, str], etag: str) -> bool:
        """Watch a lease for DEAD_SECONDS: True if it stays the same, False if given up; UserError once it changes."""
        seconds = f"{DEAD_SECONDS:.0f} s"
        print(f"last run by {holder['who']}; waiting {seconds} to see whether that still lives", file=sys.stderr)
        until = time.monotonic() + DEAD_SECONDS
        while time.monotonic() < until:
            time.sleep(BEAT_SECONDS / 5)
            asked = time.monotonic()
            found = self._store.read(self._name)
            if time.monotonic() - asked > BEAT_SECONDS:  # nor could its holder be heard meanwhile
                until = time.monotonic() + DEAD_SECONDS
            if found is None:
                return False
            if found[1] != etag:
                raise UserError(self._otherwise)
        return True

    def _sign(self) -> bytes:
        """Give the lease's next content; it counts up, so that no two are alike."""
        self._beats += 1
        who = f"process {os.getpid()} on {socket.gethostname()}"
        return json.dumps({"who": who, "holder": self._holder, "beats": self._beats} | self._place).encode()

    def _beat(self) -> None:
        """Write the lease anew until the block is over; if it is lost, interrupt the main thread."""
        last = time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            sent = time.monotonic()
            try:
                if self._renew():
                    last = sent
            except ChangedError:
                self._lost = self._taken()
            except Exception as error:  # whatever it is: a thread that ends without a word would let two processes work
                if time.monotonic() - last > DEAD_SECONDS:
                    self._lost = UnreachableError(
                        f"no sign of life of this process was taken for {DEAD_SECONDS:.0f} s: {error}"
                    )
            if self._lost and not self._over.is_set():
                return signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # wakes it if it sleeps

    def _renew(self) -> bool:
        """Write the lease; False if the store took the write before this one without our hearing of it, and so not this.

        Raises ChangedError if the lease is another's.
        """
        try:
            self._etag = self._hurried.put(self._name, self._sign(), IfMatch=self._etag)
        except ChangedError:
            if not self._is_ours(self._hurried):
                raise
            return False
        return True

    def _is_ours(self, store: ObjectStore) -> bool:
        """Tell whether the lease holds our own last write, which the store took without our hearing of it."""
        found = store.read(self._name)
        if found is None or _read(found[0])["holder"] != self._holder:
            return False
        self._etag = found[1]
        return True


def is_held(mirror: Mirror, folder: Path) -> bool:
    """Whether a living process of another machine holds a folder's lease; one of this machine is told by its lock.

    It lives if it gave a sign of life within DEAD_SECONDS, which the store's clock alone measures.
    """
    name = f"{mirror.name(folder)}/.lease"
    found = mirror.store.read(name)
    if found is None or _read(found[0]).items() >= _place(mirror).items():
        return False
    with suppress(ChangedError):  # it has ended meanwhile
        return mirror.store.age(name) < DEAD_SECONDS
    return False


def _read(content: bytes) -> dict[str, str]:
    """What a lease says; of one that nobody here wrote, nothing that anybody is: it counts as dead when it stays the same.

    Those of earlier versions do not say on which machine, and since when, their mirror lies.
    """
    unknown = dict.fromkeys(("who", "mirror", "holder", "host", "boot"), "nobody known")
    try:
        said = parse_json(content)
        return unknown | {name: str(said[name]) for name in unknown.keys() & said.keys()}
    except (ValueError, AttributeError):
        return unknown


def _place(mirror: Mirror) -> dict[str, str]:
    """What tells a holder on this machine from all others: a mirror's folder may be copied, with a home or a whole machine.

    After a restart the machine is another one, to be on the safe side.
    """
    boot = ""
    with suppress(OSError):  # elsewhere than on Linux
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"mirror": mirror.id, "host": socket.gethostname(), "boot": boot}
