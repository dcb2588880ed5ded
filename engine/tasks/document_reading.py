"""Reads one document, in a process of its own: `document_reading.py ASK FOLDER` fills the folder, with `told.json`.

The libraries it needs are native, or slow on a document that means ill.
"""

import email
import email.policy
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

IN_OFFICE_FILES = {"media", "embeddings", "Pictures"}  # folders of what people put into a document


class Ask(TypedDict):
    """What to read, and how."""

    source: str
    is_xml: bool
    most_characters: int
    most_bytes: int
    ocr: str
    language: str | None
    prepares_images: bool
    takes_files: bool


def read(ask: Ask, folder: Path) -> dict[str, Any]:
    """What is to be told of a document; its text and the files inside of it are left in the folder."""
    content, metadata = extracted(ask)
    (folder / "content").write_text(content, "utf-8")
    told = {"metadata": {name: values[0] for name, values in metadata.items() if values}}
    if not ask["takes_files"]:
        return told
    kind = str(told["metadata"].get("Content-Type", "")).partition(";")[0]
    found = files_inside(kind, Path(ask["source"]), ask["most_bytes"])
    if found is None:
        return {**told, "sealed": kind}
    names: dict[str, str] = {}
    size, lost = 0, 0
    for name, data in found:
        if data is None:
            lost += 1
            continue
        size += len(data)
        _bounded(size, ask["most_bytes"])
        (folder / f"file-{len(names)}").write_bytes(data)
        names[unique(name, names)] = f"file-{len(names)}"
    return {**told, "files": names, "lost": lost}


def extracted(ask: Ask) -> tuple[str, dict[str, list[str]]]:
    """The text of a document, or its XHTML, and what is known about it."""
    from iscc_tika import Extractor, PdfOcrStrategy, PdfParserConfig, TesseractOcrConfig

    ocr = TesseractOcrConfig().set_skip_ocr(ask["ocr"] == "NO_OCR")
    ocr = ocr.set_enable_image_preprocessing(ask["prepares_images"])
    if ask["language"]:
        ocr = ocr.set_language(ask["language"])
    pdf = PdfParserConfig().set_ocr_strategy(getattr(PdfOcrStrategy, ask["ocr"]))
    pdf = pdf.set_extract_inline_images(ask["takes_files"]).set_extract_unique_inline_images_only(ask["takes_files"])
    extractor = Extractor().set_ocr_config(ocr).set_pdf_config(pdf).set_xml_output(ask["is_xml"])
    extractor = extractor.set_extract_string_max_length(ask["most_characters"])
    content, metadata = extractor.extract_file_to_string(ask["source"])
    return str(content), dict(metadata)


def files_inside(kind: str, source: Path, most: int) -> Iterator[tuple[str, bytes | None]] | None:
    """Names and contents (None: it can't be read) of the files inside of a document, None when they can't be taken out
    of this kind."""
    if kind == "application/pdf":
        return _in_pdf(source)
    if kind == "message/rfc822":
        return _in_mail(source)
    return _in_archive(source, most) if zipfile.is_zipfile(source) else None


def _in_pdf(source: Path) -> Iterator[tuple[str, bytes | None]]:
    from pypdf import PdfReader

    reader, seen = PdfReader(source), set[bytes]()
    for page in reader.pages:
        for key in page.images.keys():  # noqa: SIM118 - a sequence of pictures, with keys beside
            try:
                image = page.images[key]
            except Exception:  # noqa: BLE001 - one in a form that nobody knows must not hide the others
                yield str(key), None
                continue
            if (mark := hashlib.sha256(image.data).digest()) not in seen:
                yield f"image{len(seen)}{PurePosixPath(image.name).suffix}", image.data
                seen.add(mark)
    for name, contents in reader.attachments.items():
        for data in contents:
            yield name, data


def _in_mail(source: Path) -> Iterator[tuple[str, bytes | None]]:
    message = email.message_from_bytes(source.read_bytes(), policy=email.policy.default)
    for part in message.iter_attachments():
        content = part.get_payload(decode=True)
        yield part.get_filename() or "", content if isinstance(content, bytes) else part.as_bytes()


def _in_archive(source: Path, most: int) -> Iterator[tuple[str, bytes | None]]:
    with zipfile.ZipFile(source) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if {"[Content_Types].xml", "mimetype"} & {entry.filename for entry in entries}:
            entries = [one for one in entries if IN_OFFICE_FILES & set(PurePosixPath(one.filename).parts[:-1])]
        _bounded(sum(entry.file_size for entry in entries), most)  # before a small file fills the memory
        for entry in entries:
            with archive.open(entry) as member:
                yield entry.filename, member.read()


def _bounded(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"the files inside of it hold more than {most:,} bytes.")


def unique(name: str, taken: dict[str, str]) -> str:
    """A file's own name, without its folders, that is not taken yet."""
    plain = PurePosixPath(name.replace("\0", " ").replace("\\", "/")).name.strip(". ") or f"file_{len(taken)}"
    path, number = PurePosixPath(plain), 1
    while plain in taken:
        plain, number = f"{path.stem}_{number}{path.suffix}", number + 1
    return plain


def limit_memory(most: int) -> None:
    """Bound what this process, and what it starts, may write to, where the system can. Not what it may reserve: the
    library reserves far more than it ever uses."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main() -> None:
    """Read what the first argument asks for, into the folder of the second."""
    folder = Path(sys.argv[2])
    limit_memory(int(sys.argv[3]))
    try:
        told = read(json.loads(sys.argv[1]), folder)
    except ImportError as error:
        told = {"missing": str(error.name)}
    except MemoryError:
        told = {"starved": True}
    except Exception as error:  # noqa: BLE001 - whatever a library says of a document that it can't read
        told = {"problem": str(error) or type(error).__name__}
    (folder / "told.json").write_text(json.dumps(told), "utf-8")


if __name__ == "__main__":
    main()
