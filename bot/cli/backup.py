"""`parley backup`: a copy of everything that is kept, made while the bot runs."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bot.settings import BotSettings, read_settings
from engine.audit_keys import KEY_FILE, key_file
from engine.errors import SettingInvalid, StoreFailed
from engine.file_settings import open_files
from engine.store.copying import copy_database
from engine.store.postgres import is_postgres

DATABASE, FILES, UPLOADS, KEY = "parley.db", "files", "uploads", "encryption.key"
FILE_ENDINGS = (".db", ".sqlite", ".sqlite3")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup holds."""

    executions: int
    files: int


def backup(target: Path, data: Path | None, *, with_key: bool) -> None:
    """Copy database, files and, if asked for, the key; say what is in the copy and what is not."""
    settings = read_settings(data=data)
    source = _database(settings)
    target = target.absolute()
    alone = target.suffix.lower() in FILE_ENDINGS
    if target.exists():
        raise SettingInvalid(f"There is {target} already.", fix="Name a file or folder that is not there yet.")
    if target.is_relative_to(settings.data):
        raise SettingInvalid(f"{target} lies in the data folder itself.", fix="Name a place outside of it.")
    if alone and with_key:
        raise SettingInvalid("A single file can't hold the key.", fix="Name a folder, or copy the key yourself.")
    try:
        copied = _copy_file(source, target) if alone else _copy_folder(settings, source, target, with_key)
    except OSError as error:
        raise StoreFailed(
            f"{target} can't be written: {error.strerror}.", fix="Check its disk and permissions."
        ) from error
    sys.stdout.write(_report(settings, target, copied, alone=alone, with_key=with_key))


def _database(settings: BotSettings) -> Path:
    if is_postgres(settings.database):
        raise SettingInvalid(
            "The database is on PostgreSQL, which has its own tools for this.",
            fix="Use `pg_dump`; files lie where `storage` points. See /docs/operations.",
        )
    source = settings.data / DATABASE if settings.database is None else Path(settings.database)
    if not source.is_file():
        raise SettingInvalid(f"There is no database {source}.", fix="Name the data folder with --data.")
    return source


def _copy_file(source: Path, target: Path) -> Copied:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Copied(copy_database(source, target), 0)


def _copy_folder(settings: BotSettings, source: Path, target: Path, with_key: bool) -> Copied:
    """The database first: whatever it speaks of is among the files that are copied after it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        part.mkdir(mode=0o700)
    except FileExistsError as error:
        raise StoreFailed(
            f"There is {part} already, from a copy under way or one that was cut off.", fix="Remove it and try again."
        ) from error
    try:
        executions = copy_database(source, part / DATABASE)
        number = _copy_tree(open_files(settings).root, part / FILES) + _copy_tree(
            settings.data / UPLOADS, part / UPLOADS
        )
        if with_key:
            _copy_one(settings.data / KEY, part / KEY)
            if settings.audit.key is None:
                _copy_one(key_file(settings), part / KEY_FILE)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return Copied(executions, number)


def _copy_tree(source: Path, target: Path) -> int:
    """Copy the regular files of a folder, which others may write to and purge meanwhile; how many."""
    number = 0
    for folder, _, names in os.walk(source):
        here = target / Path(folder).relative_to(source)
        here.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            number += _copy_one(Path(folder, name), here / name)
    return number


def _copy_one(source: Path, target: Path) -> bool:
    if source.is_symlink() or not source.is_file():
        return False
    try:
        with source.open("rb") as read, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as written:
            shutil.copyfileobj(read, written, 1024 * 1024)
            written.flush()
            os.fsync(written.fileno())
    except FileNotFoundError:
        target.unlink(missing_ok=True)
        return False  # purged since it was listed
    shutil.copystat(source, target, follow_symlinks=False)
    return True


def _report(settings: BotSettings, target: Path, copied: Copied, *, alone: bool, with_key: bool) -> str:
    held = f"{copied.executions} executions" + ("" if alone else f", {copied.files} files")
    lines = [f"Backup in {target}: {held}."]
    if alone:
        lines.append(f"Files of executions are not in it; they lie in {open_files(settings).root}.")
    elif settings.storage is not None:
        lines.append("Files are in its folder `files`; `storage` in the settings must point to them after a restore.")
    own, signs = settings.data / KEY, key_file(settings)
    if settings.encryption_key:
        lines.append(
            "The encryption key is not in it: it is set as PARLEY_ENCRYPTION_KEY or `encryption_key`. Keep it."
        )
    elif with_key:
        lines.append("The encryption key is in it: whoever has this copy can read every secret in it.")
    elif own.is_file():
        lines.append(
            f"The encryption key is not in it: without {own} secret inputs and values can't be read. "
            "Keep it somewhere else, or add --with-key."
        )
    if settings.audit.key is not None:
        lines.append(
            "The key that signs the record is not in it: it is set as PARLEY_AUDIT__KEY or `audit.key`. Keep it."
        )
    elif with_key and signs.is_file():
        lines.append("The key that signs the record is in it: whoever has this copy can sign what they like.")
    elif signs.is_file():
        lines.append(f"The key that signs the record is not in it: without {signs} nothing is signed after a restore.")
    restore = "copy it to an empty data folder as `parley.db`" if alone else f"`parley up --data {target}`"
    lines.append(f"To restore: {restore}{'' if with_key or settings.encryption_key else ', with the keys beside it'}.")
    return "\n".join(lines) + "\n"
