"""Opens the internal storage that the settings name."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from engine.errors import SettingInvalid
from engine.files import FileStore
from engine.settings import Settings


def open_files(settings: Settings) -> FileStore:
    """The storage in the data folder, or where `storage` says; SettingInvalid."""
    if settings.storage is None:
        return FileStore(settings.data / "files")
    place = urlsplit(settings.storage)
    if place.scheme == "s3" and place.netloc:
        from engine.buckets import BucketFileStore  # noqa: PLC0415 - only who keeps files in a bucket needs it

        return BucketFileStore(settings.data / "files", place.netloc, place.path, settings.storage_endpoint)
    if place.scheme != "file" or place.netloc not in ("", "localhost") or not place.path.startswith("/"):
        raise SettingInvalid(
            f"`storage` {settings.storage} is no place for files.", fix="Write file:///folder or s3://bucket/prefix."
        )
    try:
        return FileStore(Path(unquote(place.path)))
    except OSError as error:
        raise SettingInvalid(
            f"The folder of `storage` can't be used: {error}.", fix="Check that it is mounted, and whose it is."
        ) from error
