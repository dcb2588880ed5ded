"""Objects of a bucket: found by prefix and pattern, and fetched into internal storage."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal

from engine.plugin import Outputs, Part, Property, RunContext, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.arrivals import Arrivals, away, chosen, cut, placed, unheard
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.name_patterns import fitting
from engine.tasks.property_types import OptionalInteger, OptionalText
from engine.tasks.runners import WORK

Found = dict[str, Any]
MOST = 25  # objects, where `maxFiles` is written as nothing

# Names of the service's `put_object` for what else an upload may say.
UPLOAD = {
    "cache_control": "CacheControl",
    "content_type": "ContentType",
    "content_encoding": "ContentEncoding",
    "content_disposition": "ContentDisposition",
    "content_language": "ContentLanguage",
    "expires": "Expires",
    "acl": "ACL",
    "storage_class": "StorageClass",
    "server_side_encryption": "ServerSideEncryption",
    "kms_key_id": "SSEKMSKeyId",
    "bucket_key_enabled": "BucketKeyEnabled",
    "checksum_algorithm": "ChecksumAlgorithm",
    "expected_bucket_owner": "ExpectedBucketOwner",
    "request_payer": "RequestPayer",
    "object_lock_mode": "ObjectLockMode",
    "object_lock_legal_hold_status": "ObjectLockLegalHoldStatus",
    "object_lock_retain_until_date": "ObjectLockRetainUntilDate",
}


class Listed(Outputs):
    """The objects."""

    objects: list[Found]


class ListFields(AwsConnected):
    """Which objects are meant."""

    prefix: Property[OptionalText] = None
    delimiter: Property[OptionalText] = None
    marker: Property[OptionalText] = None
    encoding_type: Property[OptionalText] = None
    max_keys: Property[OptionalInteger] = 1000
    most: ClassVar[int] = MOST
    max_files: Property[OptionalInteger] = 25
    expected_bucket_owner: Property[OptionalText] = None
    regexp: Property[OptionalText] = None
    filter: Property[Literal["FILES", "DIRECTORY", "BOTH"]] = "BOTH"


class MoveTo(Part):
    """Where objects go once they are taken."""

    bucket: Property[OptionalText] = None
    key: Property[OptionalText] = None


class ActionFields(ListFields):
    """What becomes of objects once they are taken."""

    action: Property[Literal["MOVE", "DELETE", "NONE"] | None] = None
    move_to: MoveTo | None = None

    async def act(self, context: RunContext, bucket: str, objects: Sequence[Found], gone: list[Found]) -> None:
        """Move or delete objects; each is in `gone` then."""
        goal = self.move_to or MoveTo()
        if self.action == "MOVE" and not (goal.key or goal.bucket):
            raise TaskFailed("It is not said where to move the objects.", fix="Give `moveTo.key` or `moveTo.bucket`.")

        def work(client: Any) -> None:
            for one in objects:
                key = one["key"]
                target = below(goal.key, PurePosixPath(key).name) if goal.key else key
                if self.action == "DELETE" or (goal.bucket or bucket, target) != (bucket, key):
                    if self.action == "MOVE":
                        client.copy({"Bucket": bucket, "Key": key}, goal.bucket or bucket, target)
                    client.delete_object(Bucket=bucket, Key=key)
                gone.append(one)

        await self.aws(context, "s3", work)


class Downloaded(Outputs):
    """The file, or the files by their keys."""

    uri: StoredUri | None = None
    eTag: str | None = None  # noqa: N815 - appears as written
    versionId: str | None = None  # noqa: N815
    contentLength: int | None = None  # noqa: N815
    contentType: str | None = None  # noqa: N815
    metadata: dict[str, str] | None = None
    files: dict[str, dict[str, Any]] | None = None


class Taken(Outputs):
    """The objects with the URIs of their files."""

    objects: list[Found]
    outputFiles: dict[str, StoredUri]  # noqa: N815 - appears as written


async def taken(fields: ActionFields, context: RunContext, bucket: str, arrivals: Arrivals | None = None) -> Taken:
    """Download what is listed, with `arrivals` what is news of it, then do what is to be done with it."""
    files = [found for found in await there(fields, context, bucket) if not found["key"].endswith("/")]
    if objects := unheard(arrivals, files, name="key", version=_version):
        return _taken(objects)
    most = fields.max_files or fields.most
    listed = chosen(context, files, most, arrivals, kind="objects", name="key", version=_version)
    done = await fetched(fields, context, bucket, [found["key"] for found in listed])
    objects = [{**found, "uri": done[found["key"]]["uri"]} for found in listed]
    if fields.action in ("MOVE", "DELETE") and objects:
        places = placed(listed, "key", _version)
        objects = await away(context, objects, partial(fields.act, context, bucket, objects), arrivals, places)
    context.metric("files.count", len(objects))
    return _taken(objects)


def _taken(objects: list[Found]) -> Taken:
    return Taken(objects=objects, outputFiles={one["key"]: one["uri"] for one in objects})


def _version(found: Found) -> str:
    return f"{found['eTag']}_{found['lastModified']}"


async def listing(fields: ListFields, context: RunContext, bucket: str, *, versions: bool = False) -> list[Found]:
    """The objects that are meant (each once for every version of it, if asked so), `maxFiles` at most; a longer list
    is cut with a word about it."""
    found = await there(fields, context, bucket, versions=versions)
    return list(cut(context, found, fields.max_files or fields.most, "objects"))


async def there(fields: ListFields, context: RunContext, bucket: str, *, versions: bool = False) -> list[Found]:
    """The objects that are meant, all of them."""
    return await fields.aws(context, "s3", lambda client: list(_found_in(client, fields, bucket, versions)))


def _found_in(client: Any, fields: ListFields, bucket: str, versions: bool) -> Iterator[Found]:
    """The objects of a bucket that are meant, page by page."""
    call, after, held = (
        ("list_object_versions", "KeyMarker", "Versions") if versions else ("list_objects_v2", "StartAfter", "Contents")
    )
    asked = {"Prefix": fields.prefix, "Delimiter": fields.delimiter, after: fields.marker}
    named = {name: value for name, value in asked.items() if value}
    pages = client.get_paginator(call).paginate(
        Bucket=bucket, **named, PaginationConfig={"PageSize": min(fields.max_keys or 1000, 1000)}
    )
    for page in pages:
        keys = [rest_service.held(one, f"{fields.owner} s3", "Key") for one in page.get(held, ())]
        wanted = set(fitting(keys, fields.regexp, "regexp"))
        for one in page.get(held, ()):
            folder = one["Key"].endswith("/")
            if (fields.filter == "FILES" and folder) or (fields.filter == "DIRECTORY" and not folder):
                continue
            if one["Key"] in wanted:
                yield _found(one)


async def fetched(
    fields: AwsConnected, context: RunContext, bucket: str, keys: Sequence[str], version: str | None = None
) -> dict[str, Found]:
    """The files by their keys: what S3 says about each, and its URI in internal storage."""
    folder = context.working_dir / WORK / "s3"
    folder.mkdir(parents=True, exist_ok=True)

    def work(client: Any) -> dict[str, Found]:
        done = {}
        for number, key in enumerate(keys):
            path = folder / f"{context.task_run_id}-{number}"
            more = {"VersionId": version} if version else {}
            about = client.head_object(Bucket=bucket, Key=key, **more)
            client.download_file(bucket, key, str(path), ExtraArgs=more)
            done[key] = {
                "path": path,
                "eTag": tag(about),
                "versionId": about.get("VersionId"),
                "contentLength": rest_service.held(about, f"{fields.owner} s3", "ContentLength"),
                "contentType": about.get("ContentType"),
                "metadata": about.get("Metadata") or {},
            }
        return done

    found = await fields.aws(context, "s3", work)
    for key, one in found.items():
        path = one.pop("path")
        one["uri"] = await context.files.put(path, stored_name(key))
        path.unlink()
    return found


def stored_name(key: str) -> str:
    """What to call an object's file."""
    return PurePosixPath(key).name or "object"


def _found(one: dict[str, Any]) -> Found:
    owner, mark = one.get("Owner"), tag(one) or ""
    return {
        "key": one["Key"],
        "etag": mark,
        "eTag": mark,
        "size": one.get("Size", 0),
        "lastModified": one["LastModified"].isoformat() if "LastModified" in one else None,
        "owner": {"id": owner.get("ID"), "displayName": owner.get("DisplayName")} if owner else None,
        "uri": None,
    }


def tag(about: dict[str, Any]) -> str | None:
    """The ETag that S3 says, without its quotes; some who speak S3's language have none."""
    return str(about["ETag"]).strip('"') if "ETag" in about else None


def below(key: str | None, name: str) -> str:
    """The key of a file below another key."""
    return f"{(key or '').rstrip('/')}/{name}".lstrip("/")
