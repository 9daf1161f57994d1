"""An S3 bucket: objects read and written whole, listed, and replaced only if they are still the ones that were seen.

It is spoken to through boto3 rather than through pyarrow's or fsspec's file systems, for boto3 gives ETags (another one
for any other content) and conditional writes: with them a stale copy is noticed, and two drivers can't both write a
journal. Credentials, region and endpoint come from where all AWS tools take them: AWS_ACCESS_KEY_ID, AWS_PROFILE,
AWS_ENDPOINT_URL, ..., ~/.aws, or the role of the machine.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from spaces.errors import UserError

URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/*")
"""s3://BUCKET/PREFIX: group 1 is the bucket, group 2 the prefix without slashes at its end, if there is one."""

_ATTEMPTS = 8
"""How often boto3 tries a request, with growing pauses: most of a minute, before a store counts as out of reach."""


class StoreError(UserError):
    """The bucket refuses: it is not there, or we may not read or write it."""


class UnreachableError(StoreError):
    """The store does not answer, or not sensibly: nobody's mistake, and worth another try later."""


class ChangedError(Exception):
    """The object that was to be replaced or read is no longer, or not yet, the one that was expected."""


@dataclass(frozen=True)
class Stored:
    """An object as a listing saw it."""

    etag: str
    """The store's own mark of the content: another one for any other content."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class ObjectStore:
    """The objects of a bucket whose keys start with `prefix`; the names that the methods take and give are without it.

    Every method raises StoreError if the bucket refuses, and UnreachableError if it does not answer.
    """

    bucket: str
    prefix: str
    """What keys start with: empty, or ending in a slash."""

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

    def objects(self, start: str) -> dict[str, Stored]:
        """List every object whose name starts with `start`, by name."""
        with self._asking():
            pages = _client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + start)
            return {
                item["Key"].removeprefix(self.prefix): Stored(item["ETag"], item["Size"])
                for page in pages
                for item in page.get("Contents", ())
            }

    def children(self, folder: str) -> tuple[list[str], list[str]]:
        """List what lies in `folder` itself and not deeper: the names of folders, and the names of objects."""
        start = f"{self.prefix}{folder}/"
        with self._asking():
            paginate = _client().get_paginator("list_objects_v2").paginate
            pages = list(paginate(Bucket=self.bucket, Prefix=start, Delimiter="/"))
        folders = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        objects = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return [key.removeprefix(start).rstrip("/") for key in folders], [key.removeprefix(start) for key in objects]

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Read a small object: its content and its ETag; None if it is not there."""
        with self._asking():
            try:
                answer = _client().get_object(Bucket=self.bucket, Key=self.prefix + name)
            except _client().exceptions.NoSuchKey:
                return None
            return answer["Body"].read(), answer["ETag"]

    def download(self, name: str, path: Path) -> None:
        """Write an object's content, as it was at one moment, to file `path`. Raises ChangedError if it is gone."""
        with self._asking():
            _client().download_file(self.bucket, self.prefix + name, str(path))

    def put(self, name: str, content: bytes | Path, **only: str) -> str:
        """Write an object whole or not at all, and give its ETag; `content` is bytes, or the path of a file.

        `only` is a condition: `IfMatch=ETAG` (the object has it still) or `IfNoneMatch="*"` (there is no object yet).
        Raises ChangedError if the condition does not hold.
        """
        with self._asking():
            if isinstance(content, bytes):
                return self._put(name, content, only)
            with content.open("rb") as file:
                return self._put(name, file, only)

    def _put(self, name: str, body: Any, only: dict[str, str]) -> str:
        answer = _client().put_object(Bucket=self.bucket, Key=self.prefix + name, Body=body, **only)
        return str(answer["ETag"])

    def upload(self, name: str, path: Path) -> None:
        """Write the file at `path` as an object, of any size: it is sent in parts, and there whole or not at all."""
        with self._asking():
            _client().upload_file(str(path), self.bucket, self.prefix + name)

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; for one that is not there nothing is done."""
        with self._asking():
            for start in range(0, len(names), 1000):
                objects = [{"Key": self.prefix + name} for name in names[start : start + 1000]]
                _client().delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn what boto3 raises in the block into ChangedError, StoreError or UnreachableError, said in one line."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

        try:
            yield
        except ClientError as error:
            code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 412 or code in ("NoSuchKey", "404", "ConditionalRequestConflict"):
                raise ChangedError(code) from None
            kind = UnreachableError if status >= 500 or status == 429 else StoreError
            raise kind(f"home {self.url}: {error.response['Error'].get('Message') or code} ({code})") from None
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise StoreError(
                f"home {self.url}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from None
        except (BotoCoreError, Boto3Error, OSError) as error:
            if isinstance(error, OSError) and error.filename:
                raise  # a file of ours: the disk is full, say
            raise UnreachableError(
                f"home {self.url} is out of reach: {' '.join(str(error).split())}; AWS_ENDPOINT_URL names another server"
            ) from None


@lru_cache(maxsize=1)
def _client() -> Any:
    """Give this process's boto3 client; UserError if boto3 is not installed."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise UserError("a home on S3 needs boto3: pip install 'understock[s3]'") from None
    retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
    return boto3.client("s3", config=Config(retries=retries, connect_timeout=10, read_timeout=60))
