"""`io.kestra.plugin.compress`: archives, compressed files, encrypted files."""

import asyncio
import bz2
import gzip
import lzma
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.file_encryption import Derivation, Kind, decrypt, encrypt
from engine.tasks.folder_contents import contents
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.runners import WORK, own_file
from engine.tasks.working_files import inside

Archive = Literal["ZIP", "TAR", "JAR", "AR", "ARJ", "CPIO", "DUMP", "SEVEN_Z"]
Compression = Literal[
    "GZIP", "BZIP2", "XZ", "LZMA", "DEFLATE", "ZSTD", "BROTLI", "DEFLATE64", "LZ4BLOCK", "LZ4FRAME", "SNAPPY",
    "SNAPPYFRAME", "Z",
]  # fmt: skip
BLOCK = 1 << 20
MAX_BYTES = 20 * 1024**3  # a small file may unpack to something that fills the disk
SUFFIXES = {".gz": "GZIP", ".bz2": "BZIP2", ".xz": "XZ", ".lzma": "LZMA", ".zz": "DEFLATE", ".zst": "ZSTD"}


class Unpacked(Outputs):
    """The files by their paths in the archive."""

    files: dict[str, StoredUri]


class ArchiveDecompress(RunnableTask):
    """Unpack an archive."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: unpack
type: io.kestra.plugin.compress.ArchiveDecompress
from: "{{ outputs.download.uri }}"
algorithm: ZIP
""",
        """
id: unpack
type: io.kestra.plugin.compress.ArchiveDecompress
from: "{{ outputs.download.uri }}"
algorithm: TAR
compression: GZIP
""",
    )
    type: Literal["io.kestra.plugin.compress.ArchiveDecompress"]
    from_: Property[Text] = Field(alias="from")
    algorithm: Property[Archive]
    compression: Property[Compression | None] = None
    include_patterns: Any = None

    async def run(self, context: RunContext) -> Unpacked:
        source = context.files.path(self.from_)
        folder = context.working_dir / WORK / f"unpacked-{context.task_run_id}"
        paths = await asyncio.to_thread(self._unpack, source, folder)
        found = {name: await context.files.put(path, path.name) for name, path in paths.items()}
        context.metric("count", len(found))
        context.metric("size", sum(path.stat().st_size for path in paths.values()))
        return Unpacked(files=found)

    def _unpack(self, source: Path, folder: Path) -> dict[str, Path]:
        found: dict[str, Path] = {}
        left = MAX_BYTES
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with ExitStack() as stack:
                for name, content in _entries(stack, source, self.algorithm, self.compression):
                    path = inside(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    left = _copy(content, path, left)
                    found[name] = path
        except broken() as error:
            raise TaskFailed(
                f"{source.name} is no {self._kind} archive: {error}.", fix="Check `algorithm` and `compression`."
            ) from error
        except RuntimeError as error:  # how a zip file with a password is refused
            raise TaskFailed(f"{source.name} cannot be unpacked: {error}.") from error
        return found

    @property
    def _kind(self) -> str:
        return f"{self.algorithm} ({self.compression})" if self.compression else self.algorithm


class Packed(Outputs):
    """The archive, or the file."""

    uri: StoredUri


class ArchiveCompress(RunnableTask):
    """Pack files, or a folder with all that lies below it, into an archive."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pack
type: io.kestra.plugin.compress.ArchiveCompress
from:
  orders.csv: "{{ outputs.orders.uri }}"
  reports/summary.md: "{{ outputs.summary.uri }}"
algorithm: ZIP
""",
        """
id: pack
type: io.kestra.plugin.compress.ArchiveCompress
fromDirectory: nsfile:///reports
algorithm: TAR
compression: GZIP
""",
    )
    type: Literal["io.kestra.plugin.compress.ArchiveCompress"]
    from_: Property[JsonMap | None] = Field(default=None, alias="from")
    from_directory: Property[OptionalText] = Field(
        default=None, description="`nsfile:///reports` of a namespace, or a folder of the working directory."
    )
    algorithm: Property[Archive]
    compression: Property[Compression | None] = None

    async def run(self, context: RunContext) -> Packed:
        if self.from_ is None and not self.from_directory:
            raise TaskFailed("It is not said what to pack.", fix="Give `from` or `fromDirectory`.")
        if self.algorithm not in ("ZIP", "JAR", "TAR"):
            raise TaskFailed(f"{self.algorithm} archives cannot be written here.", fix="Use ZIP or TAR.")
        held = dict(await contents(context, self.from_directory)) if self.from_directory else {}
        held |= {str(name): context.files.path(str(uri)) for name, uri in (self.from_ or {}).items()}
        suffix = ".tar" if self.algorithm == "TAR" else f".{self.algorithm.lower()}"
        target = own_file(context, "packed", f"{suffix}")
        await asyncio.to_thread(self._pack, held, target)
        context.metric("count", sum(1 for path in held.values() if path))
        return Packed(uri=await context.files.put(target, f"archive{suffix}"))

    def _pack(self, held: Mapping[str, Path | None], target: Path) -> None:
        with ExitStack() as stack:
            out: IO[bytes] = stack.enter_context(target.open("wb"))
            if self.compression:
                out = stack.enter_context(_writer(out, self.compression))
            if self.algorithm == "TAR":
                with tarfile.open(fileobj=out, mode="w|") as tar:
                    for name, path in held.items():
                        if path is None:
                            tar.addfile(_tar_folder(name))
                        else:
                            tar.add(path, arcname=name)
            else:
                with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
                    for name, path in held.items():
                        if path is None:
                            packed.mkdir(name)
                        else:
                            packed.write(path, arcname=name)


def _tar_folder(name: str) -> tarfile.TarInfo:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    return folder


class FileCompress(RunnableTask):
    """Compress a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: smaller
type: io.kestra.plugin.compress.FileCompress
from: "{{ outputs.export.uri }}"
compression: GZIP
""",
    )
    type: Literal["io.kestra.plugin.compress.FileCompress"]
    from_: Property[Text] = Field(alias="from")
    compression: Property[Compression]

    async def run(self, context: RunContext) -> Packed:
        source = context.files.path(self.from_)
        suffix = next((ending for ending, kind in SUFFIXES.items() if kind == self.compression), "")
        target = own_file(context, "compressed")

        def work() -> None:
            with source.open("rb") as given, target.open("wb") as out, _writer(out, self.compression) as made:
                while block := given.read(BLOCK):
                    made.write(block)

        await asyncio.to_thread(work)
        return Packed(uri=await context.files.put(target, source.name + suffix))


class FileDecompress(RunnableTask):
    """Bring a compressed file back to what it was."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: plain
type: io.kestra.plugin.compress.FileDecompress
from: "{{ outputs.download.uri }}"
compression: GZIP
""",
    )
    type: Literal["io.kestra.plugin.compress.FileDecompress"]
    from_: Property[Text] = Field(alias="from")
    compression: Property[Compression]

    async def run(self, context: RunContext) -> Packed:
        source = context.files.path(self.from_)
        target = own_file(context, "plain")

        def work() -> None:
            with source.open("rb") as given, _reader(given, self.compression) as content:
                _copy(content, target, MAX_BYTES)

        try:
            await asyncio.to_thread(work)
        except broken() as error:
            raise TaskFailed(
                f"{source.name} is not compressed by {self.compression}: {error}.", fix="Check `compression`."
            ) from error
        name = source.name.removesuffix(source.suffix) if source.suffix in SUFFIXES else source.name
        return Packed(uri=await context.files.put(target, name))


class FileEncrypt(RunnableTask):
    """Encrypt a file with a password: `PBKDF2_SHA256` as `openssl` reads it, the others so that a change is seen."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: seal
type: io.kestra.plugin.compress.FileEncrypt
from: "{{ outputs.export.uri }}"
password: "{{ secret('ENCRYPTION_PASSWORD') }}"
keyDerivation: ARGON2ID
""",
    )
    type: Literal["io.kestra.plugin.compress.FileEncrypt"]
    from_: Property[Text] = Field(alias="from")
    password: Property[Text]
    iterations: Property[int] = Field(default=600_000, description="Of PBKDF2.")
    key_derivation: Property[Kind] = "PBKDF2_SHA256"
    memory: Property[int] = Field(default=65_536, description="ARGON2ID: kilobytes; SCRYPT: N, a power of 2.")
    parallelism: Property[int] = 1
    argon2_time_cost: Property[int] = 3

    async def run(self, context: RunContext) -> Packed:
        context.mask(self.password)
        rounds = self.argon2_time_cost if self.key_derivation == "ARGON2ID" else self.iterations
        how = Derivation(self.key_derivation, rounds, self.memory, self.parallelism)
        source, target = context.files.path(self.from_), own_file(context, "sealed")
        await asyncio.to_thread(encrypt, source, target, self.password, how)
        return Packed(uri=await context.files.put(target, f"{source.name}.enc"))


class FileDecrypt(RunnableTask):
    """Decrypt a file that FileEncrypt or `openssl enc -aes-256-cbc -pbkdf2` wrote; which of them is seen."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: unseal
type: io.kestra.plugin.compress.FileDecrypt
from: "{{ outputs.download.uri }}"
password: "{{ secret('ENCRYPTION_PASSWORD') }}"
""",
    )
    type: Literal["io.kestra.plugin.compress.FileDecrypt"]
    from_: Property[Text] = Field(alias="from")
    password: Property[Text]
    iterations: Property[int] = Field(default=600_000, description="As encrypted; only a file of `openssl` needs it.")

    async def run(self, context: RunContext) -> Packed:
        context.mask(self.password)
        source, target = context.files.path(self.from_), own_file(context, "open")
        await asyncio.to_thread(decrypt, source, target, self.password, self.iterations)
        return Packed(uri=await context.files.put(target, source.name.removesuffix(".enc")))


def broken() -> tuple[type[Exception], ...]:
    """What reading raises when a file is not what it is said to be."""
    zstandard = sys.modules.get("zstandard")
    more = (zstandard.ZstdError,) if zstandard else ()
    return (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, *more)


def _entries(
    stack: ExitStack, source: Path, algorithm: str, compression: str | None
) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of an archive with their content; folders, links and devices are left out."""
    given: IO[bytes] = stack.enter_context(source.open("rb"))
    if compression and not (algorithm in ("ZIP", "JAR") and zipfile.is_zipfile(source)):
        given = stack.enter_context(_reader(given, compression))
    if algorithm == "TAR":
        with tarfile.open(fileobj=given, mode="r|") as tar:
            for member in tar:
                if member.isfile() and (content := tar.extractfile(member)) is not None:
                    yield member.name, content
    elif algorithm in ("ZIP", "JAR"):
        with zipfile.ZipFile(given) as packed:
            for entry in packed.infolist():
                if not entry.is_dir():
                    with packed.open(entry) as content:
                        yield entry.filename, content
    else:
        raise TaskFailed(f"{algorithm} archives cannot be read here.", fix="Use ZIP or TAR.")


def _copy(content: IO[bytes], path: Path, left: int) -> int:
    """Write to a file; how many bytes may still follow."""
    with path.open("wb") as out:
        while block := content.read(BLOCK):
            left -= len(block)
            if left < 0:
                raise TaskFailed(f"It unpacks to more than {MAX_BYTES} bytes.", fix="Unpack it in a script task.")
            out.write(block)
    return left


def _reader(given: IO[bytes], compression: str) -> Any:
    readers: dict[str, Callable[[], Any]] = {
        "GZIP": lambda: gzip.GzipFile(fileobj=given),
        "BZIP2": lambda: bz2.BZ2File(given),
        "XZ": partial(lzma.LZMAFile, given),
        "LZMA": partial(lzma.LZMAFile, given, format=lzma.FORMAT_ALONE),
        "DEFLATE": lambda: _Inflated(given),
        "ZSTD": lambda: extra("zstandard", "zstd").ZstdDecompressor().stream_reader(given),
    }
    return _chosen(readers, compression)


def _writer(out: IO[bytes], compression: str) -> Any:
    writers: dict[str, Callable[[], Any]] = {
        "GZIP": lambda: gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0),
        "BZIP2": lambda: bz2.BZ2File(out, "wb"),
        "XZ": partial(lzma.LZMAFile, out, "wb"),
        "LZMA": partial(lzma.LZMAFile, out, "wb", format=lzma.FORMAT_ALONE),
        "DEFLATE": lambda: _Deflated(out),
        "ZSTD": lambda: extra("zstandard", "zstd").ZstdCompressor().stream_writer(out, closefd=False),
    }
    return _chosen(writers, compression)


def _chosen(makers: dict[str, Callable[[], Any]], compression: str) -> Any:
    if compression not in makers:
        raise TaskFailed(f"{compression} is not supported here.", fix=f"Use one of {', '.join(makers)}.")
    return makers[compression]()


class _Inflated:
    """Reads zlib's format."""

    def __init__(self, given: IO[bytes]) -> None:
        self.given, self.state = given, zlib.decompressobj()

    def __enter__(self) -> "_Inflated":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def read(self, size: int = -1) -> bytes:
        """Some bytes, none at the end."""
        while not self.state.eof:
            given = self.state.unconsumed_tail or self.given.read(BLOCK)
            if not given:
                raise EOFError("it ends too early")
            if found := self.state.decompress(given, max(size, 0)):
                return found
        return b""


class _Deflated:
    """Writes zlib's format."""

    def __init__(self, out: IO[bytes]) -> None:
        self.out, self.state = out, zlib.compressobj()

    def __enter__(self) -> "_Deflated":
        return self

    def __exit__(self, *_: object) -> None:
        self.out.write(self.state.flush())

    def write(self, block: bytes) -> int:
        """Compress some bytes."""
        self.out.write(self.state.compress(block))
        return len(block)
