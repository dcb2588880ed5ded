"""Documents as Apache Tika reads them: real documents, made by the libraries that are at hand, in a real process."""

import io
import json
import stat
import sys
import zipfile
from email.message import EmailMessage

import pytest
from openpyxl import Workbook
from openpyxl.drawing.image import Image as Drawn
from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject, NumberObject, StreamObject

from engine.errors import TaskFailed
from engine.tasks import tika
from engine.tasks.document_reading import unique

WITHOUT_LIBRARY = """
import pathlib, sys
folder = pathlib.Path(sys.argv[2])
folder.joinpath("content").touch()
folder.joinpath("told.json").write_text('{"missing": "pypdf"}')
"""
PARSE = {"type": "io.kestra.plugin.tika.Parse"}


def picture(kind="PNG"):
    Image.new("RGB", (64, 48), "red").save(kept := io.BytesIO(), kind)
    return kept.getvalue()


def pdf(*lines, picture=b"", attached=b""):
    """A PDF with a page a line, a picture on the first, and a file attached."""
    writer = PdfWriter()
    writer.add_metadata({"/Title": "The quarter"})
    name = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = writer._add_object(DictionaryObject({NameObject(key): NameObject(value) for key, value in name.items()}))
    for number, line in enumerate(lines):
        page, drawn = writer.add_blank_page(300, 300), DecodedStreamObject()
        drawn.set_data(
            f"BT /F1 12 Tf 20 200 Td ({line}) Tj ET {'q 64 0 0 48 20 20 cm /I Do Q' * (not number)}".encode()
        )
        page[NameObject("/Contents")] = writer._add_object(drawn)
        given = {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        if picture and not number:
            given[NameObject("/XObject")] = DictionaryObject({NameObject("/I"): writer._add_object(jpeg(picture))})
        page[NameObject("/Resources")] = DictionaryObject(given)
    if attached:
        writer.add_attachment("numbers.csv", attached)
    writer.write(kept := io.BytesIO())
    return kept.getvalue()


def jpeg(data):
    drawn = StreamObject()
    drawn._data = data
    words = {"/Type": "/XObject", "/Subtype": "/Image", "/ColorSpace": "/DeviceRGB", "/Filter": "/DCTDecode"}
    drawn.update({NameObject(key): NameObject(value) for key, value in words.items()})
    numbers = {"/Width": 64, "/Height": 48, "/BitsPerComponent": 8}
    drawn.update({NameObject(key): NumberObject(value) for key, value in numbers.items()})
    return drawn


def warnings(context):
    return [line for level, line in context.lines if level == "WARN"]


async def parsed(context, name, data, **given):
    return await context.run(**PARSE, from_=await context.files.put(data, name), store=False, **given)


async def test_text_and_metadata_of_a_pdf(context):
    document = pdf("Sales went up <5 %>.", "Nobody knows why.")
    found = (await parsed(context, "report.pdf", document, contentType="TEXT")).result
    assert found.content.split("\n\n\n") == ["\nSales went up <5 %>.", "\nNobody knows why.", ""]
    assert (found.metadata["dc:title"], found.metadata["xmpTPg:NPages"]) == ("The quarter", "2")
    assert (found.metadata["Content-Type"], found.embedded) == ("application/pdf", {})
    found = (await parsed(context, "report.pdf", document)).result
    assert found.content.startswith('<html xmlns="http://www.w3.org/1999/xhtml">')
    assert "<p>Sales went up &lt;5 %&gt;.</p>" in found.content
    found = (await parsed(context, "report.pdf", document, contentType="XHTML_NO_HEADER")).result
    assert found.content.startswith('<div class="page">')
    assert found.content.rstrip().endswith("</div>")
    stored = await context.run(**PARSE, from_=await context.files.put(document, "a"), contentType="TEXT")
    (row,) = map(json.loads, context.files.text(stored.uri).splitlines())
    assert (sorted(row), stored.result) == (["content", "embedded", "metadata"], None)


async def test_a_text_that_is_too_long_fails(context):
    text = "é" * 1000
    size = len((await parsed(context, "a.txt", text.encode(), contentType="TEXT")).result.content)
    assert len((await parsed(context, "a.txt", text.encode(), contentType="TEXT", charactersLimit=size)).result.content)
    with pytest.raises(TaskFailed, match=r"more than 999 characters.*`charactersLimit`"):
        await parsed(context, "a.txt", text.encode(), contentType="TEXT", charactersLimit=999)
    assert (await parsed(context, "a.txt", text.encode(), charactersLimit=5)).result.content.count("é") == 1000


async def test_files_inside_of_documents(context, monkeypatch):
    photo, wanted = picture("JPEG"), {"contentType": "TEXT", "extractEmbedded": True}
    book = Workbook()
    book.active.append(["Ann", 3])
    book.active.add_image(Drawn(io.BytesIO(photo)), "A3")
    book.save(sheets := io.BytesIO())
    mail = EmailMessage()
    mail["Subject"] = "The numbers"
    mail.set_content("See below.")
    mail.add_attachment(b"a,b\n", "text", "csv", filename="../n.csv")
    with zipfile.ZipFile(both := io.BytesIO(), "w") as archive:
        archive.writestr("one/a.txt", "first")
        archive.writestr("two/a.txt", "second")
    for name, data, inside in (
        ("a.pdf", pdf("Hello", picture=photo, attached=b"1,2\n"), {"image0.jpg": photo, "numbers.csv": b"1,2\n"}),
        ("a.xlsx", sheets.getvalue(), {"image1.jpeg": photo}),
        ("a.eml", mail.as_bytes(), {"n.csv": b"a,b\n"}),
        ("a.zip", both.getvalue(), {"a.txt": b"first", "a_1.txt": b"second"}),
    ):
        found = (await parsed(context, name, data, **wanted)).result
        assert {name: await context.files.read(uri) for name, uri in found.embedded.items()} == inside
    assert found.content.count("first") == 1
    assert not warnings(context)
    assert (await parsed(context, "a.rtf", rb"{\rtf1\ansi hello\par}", **wanted)).result.content.strip() == "hello"
    odd = pdf("Hello", picture=photo, attached=b"1,2\n").replace(b"/DCTDecode", b"/NoDecode!")
    found = (await parsed(context, "odd.pdf", odd, **wanted)).result
    assert (list(found.embedded), found.content.split()) == (["numbers.csv"], ["Hello", "1,2"])
    assert warnings(context) == [
        "Files are not taken out of application/rtf.",
        "Pictures that can't be read and are left out: 1.",
    ]
    monkeypatch.setattr(tika, "MOST_INSIDE", 10)
    with pytest.raises(TaskFailed, match="hold more than 10 bytes"):
        await parsed(context, "a.zip", both.getvalue(), **wanted)
    assert unique("..\\..", {}) == "file_0"


async def test_a_picture_tells_about_itself_and_is_read_by_tesseract(context, tmp_path, monkeypatch):
    found = (await parsed(context, "a.png", picture(), contentType="TEXT")).result
    assert "\nContent-Type: image/png\n" in found.content
    assert "tiff:ImageWidth: 64" in found.content.splitlines()
    read = {"contentType": "TEXT", "ocrOptions": {"strategy": "OCR_AND_TEXT_EXTRACTION", "language": "deu"}}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await parsed(context, "a.png", picture(), **read)).result.content == found.content
    assert "Tesseract is not installed" in warnings(context)[0]
    reader = tmp_path / "tesseract"
    reader.write_text(f'#!/bin/sh\n[ $# -lt 3 ] || {{ echo "$@" >> {tmp_path}/asked; echo "Ärger 42" > "$2.txt"; }}\n')
    reader.chmod(reader.stat().st_mode | stat.S_IXUSR)
    assert (await parsed(context, "a.png", picture(), **read)).result.content.strip() == "Ärger 42"
    assert "-l deu" in (tmp_path / "asked").read_text()


async def test_what_can_not_be_read_is_said(context, monkeypatch):
    with pytest.raises(TaskFailed, match=r"could not be read: .*PDFParser"):
        await parsed(context, "a.pdf", b"%PDF-1.4 broken")
    with pytest.raises(TaskFailed, match="could not be read"):
        await parsed(context, "empty.txt", b"")
    (context.working_dir / "iscc_tika.py").write_text("raise SystemExit(9)")  # a file that is called like the library
    monkeypatch.chdir(context.working_dir)
    assert "hello" in (await parsed(context, "a.txt", b"hello")).result.content
    monkeypatch.setattr("engine.tasks.document_reading.__file__", str(context.working_dir / "other.py"))
    (context.working_dir / "other.py").write_text(WITHOUT_LIBRARY)
    with pytest.raises(TaskFailed, match=r"`pypdf` is not installed.*parley-bot\[tika\]"):
        await parsed(context, "a.txt", b"hello")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing bounds the memory of a process so")
async def test_reading_takes_no_more_memory_than_it_may(context, monkeypatch):
    monkeypatch.setattr(tika, "MOST_MEMORY", 300 << 20)
    assert "hello" in (await parsed(context, "a.txt", b"hello")).result.content
    with zipfile.ZipFile(full := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(400 << 20))
    for data, more in ((b"many words of text\n" * 5_000_000, {}), (full.getvalue(), {"extractEmbedded": True})):
        with pytest.raises(TaskFailed, match=r"could not be read: .*300 MB of memory"):
            await parsed(context, "a", data, contentType="TEXT", **more)
