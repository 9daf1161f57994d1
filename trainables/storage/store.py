"""An S3 bucket: objects read and written whole, listed, and replaced only if they are still the ones that were seen.

It is spoken to through boto3 rather than through pyarrow's or fsspec's file systems, for boto3 gives ETags (another one
for any other content) and conditional writes: with them a stale copy is noticed, and two drivers can't both write a
journal. Credentials, region and endpoint come from where all AWS tools take them: AWS_ACCESS_KEY_ID, AWS_PROFILE,
AWS_ENDPOINT_URL, ..., ~/.aws, or the role of the machine.
"""

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from spaces.errors import UserError

URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/*")
"""s3://BUCKET/PREFIX: group 1 is the bucket, group 2 the prefix without slashes at its end, if there is one."""

_PATIENCE_SECONDS = 60.0
"""How long a store that does not answer is asked again before it counts as out of reach; boto3's own attempts may all be
through in 3 seconds."""

_QUIET_SECONDS = 5.0
"""How long that is done without a word."""

_LONGEST_PAUSE_SECONDS = 5.0

_ANSWER_SECONDS, _HURRIED_SECONDS = 15.0, 5.0
"""How long one request waits for an answer, and one of a store that is hurried."""

_PART_ATTEMPTS = 3
"""How often each request of a large file's is sent, of which there are many: else all of them would be sent again."""

_PASSING = ("RequestTimeout", "RequestTimeoutException", "ConditionalRequestConflict", "OperationAborted")
"""Refusals that S3 itself says to ask again after, beside those by a status of the server's fault."""


class StoreError(UserError):
    """The bucket refuses, or can't be asked from here: it is not there, we may not read or write it, or boto3 is missing."""


class UnreachableError(StoreError):
    """The store does not answer, or not sensibly: nobody's mistake, and worth another try later."""


class _SilentError(UnreachableError):
    """The store did not answer, or said that it can't now: it may in a moment."""


class ChangedError(Exception):
    """The object that was to be replaced or read is no longer, or not yet, the one that was expected."""


@dataclass(frozen=True)
class Stored:
    """An object as a listing saw it."""

    etag: str
    """The store's own mark of the content: another one for any other content."""
    size: int
    """Bytes."""


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _patient(
    method: Callable[Concatenate["ObjectStore", _P], _T],
) -> Callable[Concatenate["ObjectStore", _P], _T]:
    """Repeat a method of an ObjectStore until it is answered, for a minute; a line on stderr says so after 5 seconds.

    What boto3 raises comes out as ChangedError, StoreError or UnreachableError, said in one line. Whatever is repeated may
    have been done by the store already, whose answer alone was lost: nothing comes of doing it twice, but of a conditional
    `put` the second is refused for the first.
    """

    @wraps(method)
    def asked(store: "ObjectStore", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        began, until, pause, said = time.monotonic(), 0.0, 0.1, False
        while True:
            try:
                return method(store, *args, **kwargs)
            except Exception as error:
                told = store._told(error)
                if told is None:
                    raise
                now = time.monotonic()
                until = until or max(
                    began + _PATIENCE_SECONDS, now + _PATIENCE_SECONDS / 2
                )  # a long upload began long ago
                if store.hurried or not isinstance(told, _SilentError) or now >= until:
                    raise told from None
                if not said and now >= began + _QUIET_SECONDS:
                    print(f"{told}; trying again for {until - now:.0f} s", file=sys.stderr, flush=True)
                    said = True
            time.sleep(min(pause, until - now))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    return asked


@dataclass(frozen=True)
class ObjectStore:
    """The objects of a bucket whose keys start with `prefix`; the names that the methods take and give are without it.

    Every method raises StoreError if the bucket refuses, and UnreachableError if it has not answered for a minute.
    """

    bucket: str
    prefix: str
    """What keys start with: empty, or ending in a slash."""
    hurried: bool = False
    """Whether UnreachableError is raised after one request of 5 seconds, for who has no use for a late answer."""

    @classmethod
    def at(cls, url: str) -> "ObjectStore":
        """Give the store of s3://BUCKET[/PREFIX], unasked yet. Raises StoreError, a UserError, for any other URL."""
        match = URL.fullmatch(url)
        if match is None:
            raise StoreError(f"home {url!r} will not do; expected a folder, or s3://BUCKET/PREFIX")
        prefix = match[2] or ""
        return cls(match[1], f"{prefix}/" if prefix else "")

    @property
    def url(self) -> str:
        """The store as its user writes it, s3://BUCKET/PREFIX without a slash at the end."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @_patient
    def objects(self, start: str) -> dict[str, Stored]:
        """List every object whose name starts with `start`, by name."""
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + start)
        return {
            item["Key"].removeprefix(self.prefix): Stored(item["ETag"], item["Size"])
            for page in pages
            for item in page.get("Contents", ())
        }

    @_patient
    def children(self, folder: str) -> tuple[list[str], list[str]]:
        """List what lies in `folder` itself and not deeper: the names of folders, and the names of objects."""
        start = f"{self.prefix}{folder}/"
        paginate = self._client().get_paginator("list_objects_v2").paginate
        pages = list(paginate(Bucket=self.bucket, Prefix=start, Delimiter="/"))
        folders = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        objects = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return [key.removeprefix(start).rstrip("/") for key in folders], [key.removeprefix(start) for key in objects]

    @_patient
    def read(self, name: str) -> tuple[bytes, str] | None:
        """Read a small object: its content and its ETag; None if it is not there."""
        client = self._client()
        try:
            answer = client.get_object(Bucket=self.bucket, Key=self.prefix + name)
        except client.exceptions.NoSuchKey:
            return None
        return answer["Body"].read(), answer["ETag"]

    @_patient
    def age(self, name: str) -> float:
        """Seconds since an object was written, both times by the store's own clock. Raises ChangedError if it is gone."""
        answer = self._client().head_object(Bucket=self.bucket, Key=self.prefix + name)
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return float((now - answer["LastModified"]).total_seconds())

    @_patient
    def download(self, name: str, path: Path) -> None:
        """Write an object's content, as it was at one moment, to file `path`. Raises ChangedError if it is gone."""
        self._client(_PART_ATTEMPTS).download_file(self.bucket, self.prefix + name, str(path))

    @_patient
    def put(self, name: str, content: bytes | Path, /, **only: str) -> str:
        """Write an object whole or not at all, and give its ETag; `content` is bytes, or the path of a file.

        `only` is a condition: `IfMatch=ETAG` (the object has it still) or `IfNoneMatch="*"` (there is no object yet).
        Raises ChangedError if the condition does not hold; the object may be this very one then, see `_patient`.
        """
        if isinstance(content, bytes):
            return self._put(name, content, only)
        with content.open("rb") as file:
            return self._put(name, file, only)

    def _put(self, name: str, body: Any, only: dict[str, str]) -> str:
        answer = self._client().put_object(Bucket=self.bucket, Key=self.prefix + name, Body=body, **only)
        return str(answer["ETag"])

    @_patient
    def upload(self, name: str, path: Path) -> None:
        """Write the file at `path` as an object, of any size: it is sent in parts, and there whole or not at all."""
        self._client(_PART_ATTEMPTS).upload_file(str(path), self.bucket, self.prefix + name)

    @_patient
    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; for one that is not there nothing is done."""
        for start in range(0, len(names), 1000):
            objects = [{"Key": self.prefix + name} for name in names[start : start + 1000]]
            self._client().delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})

    def _client(self, attempts: int = 1) -> Any:
        return _client(attempts, _HURRIED_SECONDS if self.hurried else _ANSWER_SECONDS)

    def _told(self, error: Exception) -> Exception | None:
        """Say in one line what boto3 raised, as ChangedError, StoreError or UnreachableError; None of what is not its own."""
        if isinstance(error, UserError | ChangedError) or (isinstance(error, OSError) and error.filename):
            return None  # one of a file of ours: the disk is full, say
        from boto3.exceptions import Boto3Error, S3UploadFailedError
        from botocore import exceptions as boto

        if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, Exception):
            error = error.__context__  # which says why
        if isinstance(error, boto.ClientError):
            return self._refusal(error.response)
        if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
            return StoreError(
                f"home {self.url}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        if not isinstance(error, boto.BotoCoreError | Boto3Error | OSError):
            return None
        # what is wrong with a certificate, or with what boto3 was told, is so the next time
        lasting = isinstance(error, boto.SSLError | boto.ProxyConnectionError)
        on_the_way = boto.HTTPClientError | boto.ConnectionError | boto.IncompleteReadError | Boto3Error | OSError
        kind = _SilentError if isinstance(error, on_the_way) and not lasting else UnreachableError
        return kind(
            f"home {self.url} is out of reach: {' '.join(str(error).split())}; AWS_ENDPOINT_URL names another server"
        )

    def _refusal(self, response: Any) -> Exception:
        """Say what the store answered in place of doing what it was asked."""
        code, status = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 412 or code in ("NoSuchKey", "404"):
            return ChangedError(code)
        passing = status == 429 or (status >= 500 and status != 501) or code in _PASSING  # 501 is what it never does
        return (_SilentError if passing else StoreError)(
            f"home {self.url}: {response['Error'].get('Message') or code} ({code})"
        )


@lru_cache(maxsize=4)
def _client(attempts: int, seconds: float) -> Any:
    """Give this process's boto3 client that sends a request so often, and waits so long for an answer.

    StoreError if boto3 is not installed.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise StoreError("a home on S3 needs boto3: pip install 'understock[s3]'") from None
    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(retries=retries, connect_timeout=min(10.0, seconds), read_timeout=seconds)
    # a session of its own: two threads may not make clients of one
    return boto3.session.Session().client("s3", config=config)
