"""Internal storage in a bucket: what is written is uploaded before anybody hears of it, what is read is kept nearby.

The local folder is a copy of what this process has seen. Files of executions never change, so a copy is as good as the
bucket; files of namespaces do, and are compared first.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from engine.errors import EngineError, NotFound, StoreFailed
from engine.files import NAMESPACE_FOLDER, SCHEME, FileStore, Scope, execution_folder

PIECE = 1000  # objects deleted in one call
CONNECT_SECONDS = 5  # of each of five tries


URI = re.compile(rf"{SCHEME}/[^\s\"'\\]+")


class BucketFileStore(FileStore):
    """A bucket that speaks S3, and a folder beside it."""

    is_remote = True

    def __init__(self, root: Path, bucket: str, prefix: str, endpoint: str | None) -> None:
        super().__init__(root)
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._endpoint = endpoint
        self._made: Any = None

    def put(self, folder: str, source: Path | bytes, name: str) -> str:
        """Copy into a folder of storage; the URI. A name that is taken gets a number."""
        self._learn(folder)
        uri = super().put(folder, source, name)
        self._upload(uri.removeprefix(f"{SCHEME}/"))
        return uri

    def path(self, uri: str, scope: Scope | None = None) -> Path:
        """The local copy of a URI's file; NotFound, Refused when out of scope."""
        try:
            found = super().path(uri, scope)
        except NotFound:
            self._download("/".join(self.parts(uri, scope)))
            return super().path(uri, scope)
        if NAMESPACE_FOLDER in self.parts(uri, scope):
            self._download("/".join(self.parts(uri, scope)))
            return super().path(uri, scope)
        return found

    def fetch(self, text: str) -> None:
        """Have the files that a text names nearby, so that whoever asks for one need not wait."""
        for uri in set(URI.findall(text)):
            with contextlib.suppress(EngineError):  # whoever asks for it is told
                self.path(uri)

    def delete(self, uri: str, scope: Scope | None = None) -> None:
        """Remove a file; NotFound, Refused."""
        self.path(uri, scope).unlink()
        self._remove(["/".join(self.parts(uri, scope))])

    def delete_execution(self, namespace: str, flow_id: str, execution_id: str) -> int:
        """Remove every file of an execution; how many there were."""
        keys = list(self._keys(execution_folder(namespace, flow_id, execution_id)))
        self._remove(keys)
        super().delete_execution(namespace, flow_id, execution_id)
        return len(keys)

    def execution_files(self, namespace: str, flow_id: str, execution_id: str) -> list[str]:
        """URIs of every file of an execution."""
        keys = self._keys(execution_folder(namespace, flow_id, execution_id))
        return sorted(f"{SCHEME}/{key}" for key in keys)

    def put_namespace_file(self, namespace: str, path: str, source: Path | bytes) -> str:
        """Write a namespace file over what was there; its URI."""
        uri = super().put_namespace_file(namespace, path, source)
        self._upload(uri.removeprefix(f"{SCHEME}/"))
        return uri

    def delete_namespace_file(self, namespace: str, path: str, *, tidy: bool = False) -> bool:
        """Whether there was such a file of a namespace; with `tidy` folders left empty go too. Refused."""
        key = "/".join(self.parts(path, Scope(namespace)))
        there = key in set(self._keys(key))
        self._remove([key])
        super().delete_namespace_file(namespace, path, tidy=tidy)
        return there

    def namespace_files(self, namespace: str) -> Iterator[tuple[str, Path]]:
        """(path, local copy) of every file of a namespace."""
        folder = "/".join((*namespace.split("."), NAMESPACE_FOLDER))
        keys = set(self._keys(folder))
        for key in sorted(keys):
            self._download(key)
        for name, path in list(super().namespace_files(namespace)):
            if f"{folder}/{name}" in keys:
                yield name, path
            else:
                path.unlink()  # removed by another process

    def namespaces(self) -> list[str]:
        """Namespaces that have files of their own."""
        found = {key.partition(f"/{NAMESPACE_FOLDER}/") for key in self._keys("")}
        return sorted({place.replace("/", ".") for place, marker, _ in found if marker})

    def executions(self) -> Iterator[tuple[tuple[str, str, str], Path]]:
        """((namespace, flow's slug, execution), folder) of every execution that has files."""
        for key in self._keys(""):
            if "/executions/" in key:
                self._download(key)
        yield from super().executions()

    # The bucket

    @property
    def _client(self) -> Any:
        if self._made is None:
            try:
                import boto3  # noqa: PLC0415 - only who keeps files in a bucket needs it
            except ImportError as error:
                raise StoreFailed(
                    "`storage` names a bucket, and the library for it is not installed.",
                    fix="Install it with `pip install 'parley-bot[aws]'`.",
                ) from error
            from botocore.config import Config  # noqa: PLC0415 - as above

            patience = Config(connect_timeout=CONNECT_SECONDS)
            self._made = boto3.session.Session().client("s3", endpoint_url=self._endpoint, config=patience)
        return self._made

    def _call(self, name: str, *given: Any, **more: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

        try:
            return getattr(self._client, name)(*given, **more)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
                return None
            raise StoreFailed(
                f"The bucket {self.bucket} refused: {error}", fix="Check its name and the keys."
            ) from error
        except (BotoCoreError, OSError) as error:
            raise StoreFailed(f"The bucket {self.bucket} can't be reached: {error}", fix="Check `storage`.") from error

    def _keys(self, folder: str) -> Iterator[str]:
        given: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix + folder}
        while True:
            answer = self._call("list_objects_v2", **given) or {}
            for found in answer.get("Contents", ()):
                key = str(found["Key"]).removeprefix(self.prefix)
                if not folder or key == folder or key.startswith(f"{folder}/"):
                    yield key
            if not answer.get("IsTruncated"):
                return
            given["ContinuationToken"] = answer["NextContinuationToken"]

    def _upload(self, key: str) -> None:
        path = self._inside(PurePosixPath(key))
        with path.open("rb") as content:
            answer = self._call("put_object", Bucket=self.bucket, Key=self.prefix + key, Body=content)
        self._stamp(path).write_text((answer or {}).get("ETag", ""))

    def _download(self, key: str) -> None:
        """The newest version beside us; nothing when the bucket has none."""
        path = self._inside(PurePosixPath(key))
        stamp = self._stamp(path)
        head = self._call("head_object", Bucket=self.bucket, Key=self.prefix + key)
        if head is None:
            path.unlink(missing_ok=True)
            return
        if path.is_file() and stamp.is_file() and stamp.read_text() == head.get("ETag"):
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f".put-{path.name}")
        self._call("download_file", self.bucket, self.prefix + key, str(part))
        if part.is_file():
            part.replace(path)
            stamp.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stamp.write_text(head.get("ETag", ""))

    def _learn(self, folder: str) -> None:
        """Which names are taken, by attempts that ran elsewhere too."""
        for key in list(self._keys(folder)):
            if not self._inside(PurePosixPath(key)).exists():
                self._download(key)

    def _remove(self, keys: list[str]) -> None:
        for start in range(0, len(keys), PIECE):
            gone = [{"Key": self.prefix + key} for key in keys[start : start + PIECE]]
            self._call("delete_objects", Bucket=self.bucket, Delete={"Objects": gone, "Quiet": True})

    def _stamp(self, path: Path) -> Path:
        """Where the version of a local copy is noted: apart from the files, which are listed."""
        stamp = self.root.with_name(f"{self.root.name}.versions") / path.relative_to(self.root)
        stamp.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return stamp
