"""Tables, documents and spreadsheets into rows and back; archives and compressed files."""

import io
import json
import tarfile
import zipfile

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import TaskFailed
from engine.tasks import compress
from tests.tasks.context import parsed

SERDES = "io.kestra.plugin.serdes"
WITH_CHARSETS = ("csv.CsvToIon", "xml.XmlToIon", "json.IonToJson", "yaml.YamlToIon", "excel.IonToExcel")
ROWS = [{"id": 1, "name": "a", "price": 1.5}, {"id": 2, "name": None, "price": 20}]


async def stored(context, content, name):
    return await context.files.put(content if isinstance(content, bytes) else content.encode(), name)


async def rows(context, values=ROWS):
    return await stored(context, "".join(json.dumps(value) + "\n" for value in values), "rows.jsonl")


def values(context, uri):
    return [json.loads(line) for line in context.files.text(uri).splitlines()]


async def converted(context, kind, source, **given):
    return (await context.run(type=f"{SERDES}.{kind}", from_=source, **given)).uri


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "id,name,price\n1,a,1.5\n2,,20\n"),
        ({"header": False, "fieldSeparator": ";", "lineDelimiter": "\r\n"}, "1;a;1.5\r\n2;;20\r\n"),
        ({"quoteMode": "NON_NUMERIC"}, '"id","name","price"\n1,"a",1.5\n2,,20\n'),
        ({"alwaysDelimitText": True, "header": False}, '"1","a","1.5"\n"2","","20"\n'),
    ],
)
async def test_rows_as_csv(context, given, expected):
    uri = await converted(context, "csv.IonToCsv", await rows(context), **given)
    assert context.files.path(uri).read_bytes().decode() == expected
    assert uri.endswith(".csv")
    assert context.metrics["records"] == 2


async def test_csv_that_is_odd(context):
    given = [{"a": 'q"uo\nte', "b": " x", "c": {"d": [1]}, "e": True}]
    uri = await converted(context, "csv.IonToCsv", await rows(context, given))
    assert context.files.text(uri) == 'a,b,c,e\n"q""uo\nte"," x","{""d"": [1]}",true\n'
    back = values(context, await converted(context, "csv.CsvReader", uri))
    assert back == [{"a": 'q"uo\nte', "b": " x", "c": '{"d": [1]}', "e": "true"}]
    ion = await stored(context, '{id:1,name:"ion",when:2026-01-01T00:00:00Z}\n', "rows.ion")
    assert context.files.text(await converted(context, "csv.IonToCsv", ion)).splitlines()[1].startswith("1,ion,2026")
    with pytest.raises(TaskFailed, match="no names"):
        await converted(context, "csv.IonToCsv", await rows(context, [[1, 2]]))
    assert (
        context.files.text(await converted(context, "csv.IonToCsv", await rows(context, [[1, 2]]), header=False))
        == "1,2\n"
    )


@given(
    st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"))] * 2), min_size=1)
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_csv_and_back_is_the_same(tmp_path, pairs):
    source, table, back = tmp_path / "s.jsonl", tmp_path / "t.csv", tmp_path / "b.jsonl"
    source.write_text("".join(json.dumps(list(pair)) + "\n" for pair in pairs), "utf-8")
    made = parsed(type=f"{SERDES}.csv.IonToCsv", from_="x", header=False)
    made.convert(source, table, pytest.fail)
    parsed(type=f"{SERDES}.csv.CsvToIon", from_="x", header=False).convert(table, back, pytest.fail)
    found = [json.loads(line) for line in back.read_text("utf-8").split("\n")[:-1]]
    assert found == [[None if cell == r"\N" else cell for cell in pair] for pair in pairs]


async def test_csv_as_rows(context):
    source = await stored(context, "\ufeffid;name\n1;a\n2;\\N\n\n3;x;y\n", "in.csv")
    given = {"fieldSeparator": ";", "skipEmptyRows": True}
    with pytest.raises(TaskFailed, match="Line 5 has 3 fields, the header 2"):
        await converted(context, "csv.CsvToIon", source, **given)
    uri = await converted(context, "csv.CsvToIon", source, **given, onBadLines="WARN")
    assert values(context, uri) == [{"id": "1", "name": "a"}, {"id": "2", "name": None}]
    assert context.said("Line 5 .* left out", "WARN")
    plain = await converted(context, "csv.CsvToIon", source, **given, header=False, skipRows=3)
    assert values(context, plain) == [["3", "x", "y"]]
    latin = await stored(context, "name\nJörg\n".encode("latin-1"), "in.csv")
    assert values(context, await converted(context, "csv.CsvToIon", latin, charset="ISO-8859-1")) == [{"name": "Jörg"}]
    with pytest.raises(TaskFailed, match=r"is not in UTF-8.*charset"):
        await converted(context, "csv.CsvToIon", latin)
    with pytest.raises(TaskFailed, match="no character set 'nope'"):
        await converted(context, "csv.CsvToIon", latin, charset="nope")


async def test_json(context):
    array = await stored(context, json.dumps(ROWS, indent=2), "in.json")
    for how in ({}, {"newLine": False}):
        assert values(context, await converted(context, "json.JsonToIon", array, **how)) == ROWS
    assert values(context, await converted(context, "json.JsonToJsonl", array)) == ROWS
    uri = await converted(context, "json.IonToJson", await rows(context))
    assert values(context, uri) == ROWS
    uri = await converted(context, "json.JsonWriter", uri, newLine=False)
    assert json.loads(context.files.text(uri)) == ROWS
    with pytest.raises(TaskFailed, match="line 1, column 2"):
        await converted(context, "json.JsonToIon", await stored(context, "{x", "in.json"), newLine=False)


async def test_excel(context):
    given = [*ROWS, {"id": 3, "name": "=cmd()", "price": "Formula:SUM(A1:A2)"}]
    made = await context.run(
        type=f"{SERDES}.excel.IonToExcel", from_={"One": await rows(context, given), "Two": await rows(context)}
    )
    assert made.size == 5
    read = await context.run(
        type=f"{SERDES}.excel.ExcelToIon", from_=made.uri, sheetsTitle=["One"], valueRender="FORMULA"
    )
    assert values(context, read.uris["One"]) == [*ROWS, {"id": 3, "name": "=cmd()", "price": "=SUM(A1:A2)"}]
    assert (list(read.uris), read.size) == (["One"], 3)
    single = await context.run(type=f"{SERDES}.excel.IonToExcel", from_=await rows(context), sheetsTitle="S")
    read = await context.run(type=f"{SERDES}.excel.ExcelToIon", from_=single.uri, header=False, skipRows=1)
    assert values(context, read.uris["S"]) == [[1, "a", 1.5], [2, None, 20]]
    with pytest.raises(TaskFailed, match=r"is not a spreadsheet.*Save an older one"):
        await context.run(type=f"{SERDES}.excel.ExcelToIon", from_=await rows(context))


async def test_xml(context):
    first = "<book id='b1'><title>A &amp; B</title><price>1.5</price></book>"
    text = f"<catalog n='2'>{first}<book id='b2'><title/></book></catalog>"
    source = await stored(context, text, "in.xml")
    books = [{"id": "b1", "title": "A & B", "price": 1.5}, {"id": "b2", "title": ""}]
    assert values(context, await converted(context, "xml.XmlToIon", source)) == [{"catalog": {"n": 2, "book": books}}]
    assert values(context, await converted(context, "xml.XmlReader", source, query="/catalog/book")) == books
    assert values(context, await converted(context, "xml.XmlToIon", source, query="/nope")) == [None]
    one = await stored(context, "<a><b>1</b></a>", "in.xml")
    forced = {"parserConfiguration": {"forceList": ["b"]}}
    assert values(context, await converted(context, "xml.XmlToIon", one, **forced)) == [{"a": {"b": [1]}}]
    uri = await converted(context, "xml.IonToXml", await rows(context, [{"a b": "<x>", "c": [1, 2]}]), rootName="r")
    assert "<r><item><a_b>&lt;x&gt;</a_b><c>1</c><c>2</c></item></r>" in context.files.text(uri)
    outside = await stored(context, '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "in.xml")
    with pytest.raises(TaskFailed, match="undefined entity"):
        await converted(context, "xml.XmlToIon", outside)


async def test_yaml_and_markdown(context):
    source = await stored(context, "- {id: 1, day: 2026-01-02}\n- {id: 2}\n---\nx: 1\n", "in.yaml")
    assert values(context, await converted(context, "yaml.YamlToIon", source)) == [
        {"id": 1, "day": "2026-01-02"},
        {"id": 2},
        {"x": 1},
    ]
    assert context.files.text(await converted(context, "yaml.IonToYaml", await rows(context, [{"ü": 1}]))) == "ü: 1\n"
    assert len(values(context, await converted(context, "yaml.YamlToJson", source))) == 2
    array = await stored(context, "[1, 2]", "in.json")
    assert context.files.text(await converted(context, "yaml.JsonToYaml", array)) == "- 1\n- 2\n"
    with pytest.raises(TaskFailed, match="is not YAML"):
        await converted(context, "yaml.YamlToIon", await stored(context, "a: [", "in.yaml"))
    written = [{"a": "on", "b": [1, {"c": None}]}, {"text": "word " * 40}, {"emoji": "é 😀"}, [1.5, "\x85", "\ud800"]]
    text = context.files.text(await converted(context, "yaml.IonToYaml", await rows(context, written)))
    assert text == yaml.safe_dump_all(written, sort_keys=False, allow_unicode=True)
    text = await stored(context, "# Title\n\n**bold** <script>x</script>\n\n```\ncode\n```\n", "in.md")
    markup = context.files.text(await converted(context, "markdown.MarkdownToHtml", text))
    assert "<h1>Title</h1>" in markup
    assert "<script>" not in markup
    assert context.files.text(await converted(context, "markdown.MarkdownToText", text)).startswith("Title\nbold ")


PAGE = """<html><head><title>T</title><style>p {}</style></head><body><nav><a href="/">Home</a></nav>
<h2>Head</h2><p>This is <strong>bold</strong>, <a href="x?a=1">a link</a> and <a href="http://[broken">none</a>.</p>
<ul><li>one<ul><li>two</li></ul></li></ul><table><tr><th>a</th></tr><tr><td>1</td></tr></table>
<img src="/p.png" alt="P"><script>alert(1)</script></body></html>"""


async def test_a_page_as_markdown(context):
    page = await stored(context, PAGE, "page.html")
    uri = await converted(context, "markdown.HtmlToMarkdown", page, ignoreTags=["nav"], baseUri="https://e.test/d/")
    text = context.files.text(uri)
    assert uri.endswith("page.md")
    for line in (
        "## Head",
        "This is **bold**, [a link](https://e.test/d/x?a=1) and [none](http://[broken).",
        "* one",
        "| a |",
        "![P](https://e.test/p.png)",
    ):
        assert line in text.splitlines()
    assert not {"T", "alert(1)", "p {}", "[Home](/)"} & set(text.splitlines())
    assert "[Home](/)" in context.files.text(await converted(context, "markdown.HtmlToMarkdown", page))
    with pytest.raises(TaskFailed, match=r"`ignoreTags`: 'nav\['.* is no name of an element"):
        await converted(context, "markdown.HtmlToMarkdown", page, ignoreTags=["nav["])
    deep = await stored(context, "<div>" * 5000 + "x", "deep.html")
    with pytest.raises(TaskFailed, match="nests too deep"):
        await converted(context, "markdown.HtmlToMarkdown", deep)


async def test_documents_as_toon_and_back(context):
    document = {
        "products": [{"id": 1, "name": "Apple"}, {"id": 2, "name": "a, b"}],
        "none": [],
        "of": {"deep": [1, [2]]},
    }
    uri = await converted(context, "json.JsonToToon", await stored(context, json.dumps(document), "d.json"))
    assert context.files.text(uri).startswith('products[2]{id,name}:\n  1,Apple\n  2,"a, b"\n')
    assert json.loads(context.files.text(await converted(context, "json.ToonToJson", uri))) == document
    assert not context.said("not quite TOON")
    sloppy = await stored(context, "a[3]: 1,2\nb[0]:", "answer.toon")  # as models write it
    assert json.loads(context.files.text(await converted(context, "json.ToonToJson", sloppy))) == {"a": [1, 2], "b": []}
    assert context.said(r"answer\.toon is not quite TOON: line 1: Declared length 3 but found 2", "WARN")
    with pytest.raises(TaskFailed, match=r"x is not TOON: line 1"):
        await converted(context, "json.ToonToJson", await stored(context, "- 1\nx", "x"))
    with pytest.raises(TaskFailed, match=r"x is not JSON: .* in line 1, column 1"):
        await converted(context, "json.JsonToToon", await stored(context, "no", "x"))


SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Row",
        "fields": [
            {"name": "id", "type": "int"},
            {"name": "ok", "type": ["null", "boolean"]},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        ],
    }
)
TYPED = {"id": "1", "ok": "yes", "day": "2026-01-02", "at": "2026-01-02T03:04:05Z", "price": "1.50", "more": 1}


@pytest.mark.parametrize(
    ("there", "back"),
    [("avro.IonToAvro", "avro.AvroToIon"), ("parquet.IonToParquet", "parquet.ParquetToIon")],
)
async def test_binary_rows(context, there, back):
    found = values(context, await converted(context, back, await converted(context, there, await rows(context))))
    assert found == [{**ROWS[0], "price": 1.5}, {**ROWS[1], "price": 20.0}]
    source = await rows(context, [TYPED, {**TYPED, "ok": "n/a"}])
    found = values(context, await converted(context, back, await converted(context, there, source, schema=SCHEMA)))
    assert [row["ok"] for row in found] == [True, None]
    assert (found[0]["id"], found[0]["day"], found[0]["price"]) == (1, "2026-01-02", 1.5)
    assert found[0]["at"].startswith("2026-01-02T03:04:05") or found[0]["at"].startswith("2026-01-02T")
    bad = await rows(context, [{**TYPED, "id": "x"}, TYPED])
    with pytest.raises(TaskFailed, match="Row 1 does not fit the schema"):
        await converted(context, there, bad, schema=SCHEMA)
    kept = await converted(context, back, await converted(context, there, bad, schema=SCHEMA, onBadLines="SKIP"))
    assert len(values(context, kept)) == 1
    with pytest.raises(TaskFailed, match="no field 'more'"):
        await converted(context, there, source, schema=SCHEMA, strictSchema=True)
    with pytest.raises(TaskFailed, match=r"is no (Avro|Parquet) file"):
        await converted(context, back, source)


async def test_a_schema_is_found(context):
    uri = await converted(context, "avro.InferAvroSchemaFromIon", await rows(context))
    types = {field["name"]: field["type"][1] for field in json.loads(context.files.text(uri))["fields"]}
    assert types == {"id": "long", "name": "string", "price": "double"}


@pytest.mark.parametrize(
    ("algorithm", "compression"), [("ZIP", None), ("TAR", None), ("TAR", "GZIP"), ("TAR", "BZIP2"), ("TAR", "XZ")]
)
async def test_archives(context, algorithm, compression):
    how = {"algorithm": algorithm} | ({"compression": compression} if compression else {})
    given = {"a.txt": await stored(context, "A", "x"), "b/c.txt": await stored(context, "C" * 100_000, "y")}
    packed = await context.run(type="io.kestra.plugin.compress.ArchiveCompress", from_=given, **how)
    found = await context.run(type="io.kestra.plugin.compress.ArchiveDecompress", from_=packed.uri, **how)
    assert {name: context.files.text(uri) for name, uri in found.files.items()} == {
        "a.txt": "A",
        "b/c.txt": "C" * 100_000,
    }
    with pytest.raises(TaskFailed, match=rf"is no {algorithm}.* archive"):
        await context.run(type="io.kestra.plugin.compress.ArchiveDecompress", from_=given["a.txt"], **how)


def names_in(context, packed):
    path = context.files.path(packed.uri)
    with zipfile.ZipFile(path) if zipfile.is_zipfile(path) else tarfile.open(path) as found:
        return found.namelist() if isinstance(found, zipfile.ZipFile) else found.getnames()


@pytest.mark.parametrize("algorithm", ["ZIP", "TAR"])
async def test_a_folder_of_a_namespace_is_packed(context, tmp_path, algorithm):
    for name in ("reports/a.txt", "reports/2026/b.txt", "reports-old/c.txt"):
        context.files.shared[name] = tmp_path / name.replace("/", "-")
        context.files.shared[name].write_text(name)
    pack = {"type": "io.kestra.plugin.compress.ArchiveCompress", "algorithm": algorithm}
    packed = await context.run(**pack, fromDirectory="nsfile:///reports")
    assert [name.rstrip("/") for name in names_in(context, packed)] == ["2026", "2026/b.txt", "a.txt"]
    more = {"from": {"d.txt": await stored(context, "D", "d")}}
    owner = context.namespace.replace(".", "/")
    packed = await context.run(**pack, **more, fromDirectory=f"kestra:///{owner}/_files/reports/2026/")
    unpacked = await context.run(
        type="io.kestra.plugin.compress.ArchiveDecompress", algorithm=algorithm, **{"from": packed.uri}
    )
    texts = {name: context.files.text(uri) for name, uri in unpacked.files.items()}
    assert texts == {"b.txt": "reports/2026/b.txt", "d.txt": "D"}
    for wrong, said in (
        ({}, "not said what to pack"),
        ({"fromDirectory": "nsfile:///none"}, "no files below none"),
        ({"fromDirectory": "kestra:///a/b/executions/1"}, "no folder of a namespace"),
        ({"fromDirectory": "none"}, "no folder none in the working directory"),
        ({"fromDirectory": "../.."}, "leaves the working directory"),
    ):
        with pytest.raises(TaskFailed, match=said):
            await context.run(**pack, **wrong)


@pytest.mark.parametrize("algorithm", ["ZIP", "TAR"])
async def test_a_folder_of_the_working_directory_is_packed_without_its_links(context, algorithm):
    folder = context.working_dir / "data"
    (folder / "nested" / "empty").mkdir(parents=True)
    (folder / "nested" / "a.txt").write_text("A")
    (folder / "link.txt").symlink_to("/etc/passwd")
    (folder / "out").symlink_to("/etc")
    pack = {"type": "io.kestra.plugin.compress.ArchiveCompress", "algorithm": algorithm}
    packed = await context.run(**pack, fromDirectory="data")
    assert [name.rstrip("/") for name in names_in(context, packed)] == ["nested", "nested/a.txt", "nested/empty"]
    packed = await context.run(**pack, fromDirectory=".")
    assert [name.rstrip("/") for name in names_in(context, packed)][:2] == ["data", "data/nested"]


async def test_an_archive_stays_in_its_folder(context):
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as packed:
        packed.writestr("../../evil.txt", "x")
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
        member = tarfile.TarInfo("out/passwd")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    task = {"type": "io.kestra.plugin.compress.ArchiveDecompress"}
    with pytest.raises(TaskFailed, match="leaves the working directory"):
        await context.run(**task, algorithm="ZIP", from_=await stored(context, zipped.getvalue(), "a.zip"))
    found = await context.run(**task, algorithm="TAR", from_=await stored(context, tarred.getvalue(), "a.tar"))
    assert list(found.files) == ["out/passwd"]  # a file of ours: the link was not made


@pytest.mark.parametrize("compression", ["GZIP", "BZIP2", "XZ", "LZMA", "DEFLATE", "ZSTD"])
async def test_compressed_files(context, compression, monkeypatch):
    source = await stored(context, "text " * 1000, "notes.txt")
    packed = await context.run(type="io.kestra.plugin.compress.FileCompress", from_=source, compression=compression)
    assert context.files.path(packed.uri).stat().st_size < 500
    plain = await context.run(
        type="io.kestra.plugin.compress.FileDecompress", from_=packed.uri, compression=compression
    )
    assert context.files.text(plain.uri) == "text " * 1000
    assert plain.uri.endswith("notes.txt")
    with pytest.raises(TaskFailed, match=rf"is not compressed by {compression}.*Check `compression`"):
        await context.run(type="io.kestra.plugin.compress.FileDecompress", from_=source, compression=compression)
    monkeypatch.setattr(compress, "MAX_BYTES", 100)
    with pytest.raises(TaskFailed, match="more than 100 bytes"):
        await context.run(type="io.kestra.plugin.compress.FileDecompress", from_=packed.uri, compression=compression)


def descriptors():
    """A `product.proto` that uses a file of its own and one that every installation has; and its class."""
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

    kinds = descriptor_pb2.FieldDescriptorProto
    money = descriptor_pb2.FileDescriptorProto(name="money.proto", package="com.company", syntax="proto3")
    amount = money.message_type.add(name="Money")
    amount.field.add(name="cents", number=1, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    product = descriptor_pb2.FileDescriptorProto(name="product.proto", package="com.company", syntax="proto3")
    product.dependency.extend(["money.proto", "google/protobuf/timestamp.proto", "google/protobuf/any.proto"])
    message = product.message_type.add(name="Product")
    message.field.add(name="product_name", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    price = {"type": kinds.TYPE_MESSAGE, "type_name": ".com.company.Money", "label": kinds.LABEL_OPTIONAL}
    message.field.add(name="price", number=2, **price)
    message.field.add(name="made", number=3, **{**price, "type_name": ".google.protobuf.Timestamp"})
    message.field.add(name="more", number=4, **{**price, "type_name": ".google.protobuf.Any"})
    pool = descriptor_pool.DescriptorPool()
    for own in (timestamp_pb2, any_pb2):
        pool.AddSerializedFile(own.DESCRIPTOR.serialized_pb)
    for file in (money, product):
        pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("com.company.Product"))
    return descriptor_pb2.FileDescriptorSet(file=[money, product]).SerializeToString(), kind


async def test_messages_of_protocol_buffers(context):
    told, kind = descriptors()
    one = kind(product_name="Käse", price={"cents": 950})
    one.made.FromJsonString("2026-01-31T09:00:00Z")
    data = [one.SerializeToString(), kind(product_name="x" * 200).SerializeToString()]
    read = {"descriptorFile": await stored(context, told, "product.desc"), "typeName": "com.company.Product"}
    expected = {"productName": "Käse", "price": {"cents": "950"}, "made": "2026-01-31T09:00:00Z"}
    found = await converted(context, "protobuf.ProtobufToIon", await stored(context, data[0], "a.pb"), **read)
    assert values(context, found) == [expected]
    many = b"".join(bytes([n & 127 | 128, n >> 7] if (n := len(one)) > 127 else [n]) + one for one in data)
    found = await converted(
        context, "protobuf.ProtobufToIon", await stored(context, many, "b.pb"), **read, delimited=True
    )
    assert values(context, found) == [expected, {"productName": "x" * 200}]
    source = await stored(context, b"\x00" + many, "empty.pb")
    found = await converted(context, "protobuf.ProtobufToIon", source, **read, delimited=True)
    assert values(context, found) == [{}, expected, {"productName": "x" * 200}]
    strange = await stored(context, data[0] + b"\x48\x01", "c.pb")
    assert values(context, await converted(context, "protobuf.ProtobufToIon", strange, **read)) == [expected]
    money = {"type_url": "type.googleapis.com/com.company.Money", "value": b"\x08\x05"}
    source = await stored(context, kind(more=money).SerializeToString(), "any.pb")
    (told,) = values(context, await converted(context, "protobuf.ProtobufToIon", source, **read))
    assert told == {"more": {"@type": "type.googleapis.com/com.company.Money", "cents": "5"}}
    unknown = kind(more={**money, "type_url": "type.googleapis.com/com.company.Gone"}).SerializeToString()
    unknown = await stored(context, unknown, "unknown.pb")
    cut, nonsense = await stored(context, many[:-1], "d.pb"), await stored(context, b"\xff\xff\xff\xff\xff", "e.pb")
    wrong = (
        (strange, {"errorOnUnknownFields": True}, r"has fields that com\.company\.Product does not know: \[9\]"),
        (strange, {"typeName": "com.company.Other"}, r"has no message 'com\.company\.Other'"),
        (strange, {"descriptorFile": cut}, "`descriptorFile` can't be read"),
        (cut, {"delimited": True}, "The last message is cut off"),
        (nonsense, {"delimited": True}, "A message has no length"),
        (nonsense, {}, r"Message 1 is no com\.company\.Product"),
        (unknown, {}, r"Message 1 can't be told: .*com\.company\.Gone"),
    )
    for source, more, said in wrong:
        with pytest.raises(TaskFailed, match=said):
            await converted(context, "protobuf.ProtobufToIon", source, **{**read, **more})


@pytest.mark.parametrize(
    "name", ["json.JsonToToon", "json.JsonToIon", "json.IonToJson", "yaml.YamlToIon", "xml.XmlToIon", "csv.IonToCsv"]
)
async def test_what_nests_too_deep_is_told(context, name):
    depth = 10_000
    begin, end = ("<a>", "</a>") if "Xml" in name else ("[", "]")
    source = await stored(context, (begin * depth + end * depth).encode(), "deep.json")
    with pytest.raises(TaskFailed, match="deep"):
        await converted(context, name, source)
    if name == "json.JsonToToon":
        with pytest.raises(TaskFailed, match="deep"):
            await converted(context, name, await stored(context, b"[" * 900 + b"]" * 900, "deep.json"))


YAML_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{chr(ord(name) - 1)}'] * 9)}]\n" for name in "bcdefghi"
)
DIGITS, DEEP = "9" * 5000, '{"a":' * 100_000
AVRO = b"Obj\x01" + b"\xff" * 100


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("yaml.YamlToIon", YAML_BOMB, "aliases of .* make more than"),
        ("yaml.YamlToJson", "&a [*a]", "aliases of .* make more than"),
        ("yaml.JsonToYaml", DIGITS, "no row"),
        ("csv.IonToCsv", DIGITS, "no row"),
        ("json.IonToJson", f'{{"a": {DIGITS}}}', "no row"),
        ("json.JsonToIon", DEEP, "too deep|no row"),
        ("excel.IonToExcel", DEEP, "too deep|no row"),
        ("xml.IonToXml", "[" * 900 + "]" * 900, "too deep"),
        ("avro.AvroToIon", AVRO, "is no Avro file"),
        ("excel.ExcelToIon", "PK", "not a spreadsheet"),
    ],
)
async def test_a_hostile_file_is_refused_in_words(context, kind, content, said):
    with pytest.raises(TaskFailed, match=said):
        await converted(context, kind, await stored(context, content, "in.dat"))


@pytest.mark.parametrize("sheet", ["<x", '<!DOCTYPE l [<!ENTITY a "a"><!ENTITY b "&a;&a;">]><l>&c;</l>', None])
async def test_a_workbook_whose_parts_are_hostile_is_refused_in_words(context, monkeypatch, sheet):
    made = (await context.run(type=f"{SERDES}.excel.IonToExcel", from_=await rows(context))).uri
    packed = io.BytesIO()
    with zipfile.ZipFile(context.files.path(made)) as given, zipfile.ZipFile(packed, "w") as changed:
        for name in given.namelist():
            changed.writestr(name, sheet if sheet and name.endswith("sheet1.xml") else given.read(name))
    if sheet is None:
        monkeypatch.setattr("engine.tasks.serdes.excel.MAX_UNPACKED", 1000)
    source = await stored(context, packed.getvalue(), "in.xlsx")
    with pytest.raises(TaskFailed, match="not a spreadsheet" if sheet else "unpacks to more than 1,000 bytes"):
        await context.run(type=f"{SERDES}.excel.ExcelToIon", from_=source)


async def test_many_elements_of_one_name_are_read_one_after_the_other(context):
    source = await stored(context, "<r>" + "<a>1</a><b/>" * 150_000 + "</r>", "in.xml")
    (found,) = values(context, await converted(context, "xml.XmlToIon", source))
    assert (len(found["r"]["a"]), found["r"]["a"][-1], len(found["r"]["b"])) == (150_000, 1, 150_000)


RECORD = '{"type": "record", "name": "r", "fields": [%s]}'


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        *((kind, {"charset": name}, "no character set") for name in ("zlib", "\0", "") for kind in WITH_CHARSETS),
        ("avro.IonToAvro", {"schema": RECORD % "5"}, "Field 1 of `schema`"),
        ("parquet.IonToParquet", {"schema": RECORD % '{"name": "a"}'}, "Field 1 of `schema`"),
    ],
)
async def test_properties_that_nothing_can_be_written_with_are_told(context, kind, given, said):
    with pytest.raises(TaskFailed, match=said):
        await context.run(type=f"{SERDES}.{kind}", from_=await rows(context), **given)


async def test_a_field_may_be_as_long_as_there_are_numbers(context):
    source = await stored(context, "a\n1\n", "in.csv")
    assert values(context, await converted(context, "csv.CsvToIon", source, maxFieldSize=10**30)) == [{"a": "1"}]
