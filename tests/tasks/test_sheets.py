"""Google Sheets with a service account."""

import json

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.sheet_changes import KEPT, TOLD, Sheet
from tests.wire.google_sheets import google_sheets

__all__ = ["google_sheets"]
KIND = "io.kestra.plugin.googleworkspace.sheets"


@pytest.fixture
def sheets(make_context, google_service, google_sheets):
    where = {"google_sheets": f"{google_sheets.wire.url}/v4", "google_drive": f"{google_sheets.wire.url}/drive/v3"}
    context = make_context({"providers": {name: {"base_url": url} for name, url in where.items()}})

    async def call(kind, **given):
        known = {} if kind == "CreateSpreadsheet" else {"spreadsheetId": "S1"}
        account = {"serviceAccount": google_service.service_account}
        return await context.run(type=f"{KIND}.{kind}", **{**known, **account, **given})

    call.context = context
    return call


async def test_rows_go_in_and_come_out(sheets, google_sheets):
    rows = b'{"who": "ann", "n": 1}\n{"who": "bob", "more": [1]}\n'
    uri = await sheets.context.files.put(rows, "rows.jsonl")
    done = await sheets("Load", from_=uri, header=True)
    assert (done.rows, done.columns) == (3, 3)
    assert google_sheets.sheets["Sheet1"] == [["who", "n", "more"], ["ann", 1, ""], ["bob", "", "[1]"]]
    read = await sheets("ReadRange", range="Sheet1!A1:C9", fetch=True)
    assert (read.size, read.rows[0]) == (2, {"who": "ann", "n": 1, "more": ""})
    assert google_sheets.wire.last.query["valueRenderOption"] == "UNFORMATTED_VALUE"
    stored = await sheets("ReadRange", range="Sheet1", header=False, valueRender="FORMATTED_VALUE")
    lines = sheets.context.files.text(stored.uri).splitlines()
    assert (stored.size, json.loads(lines[0])) == (3, ["who", "n", "more"])
    assert google_sheets.wire.last.query["valueRenderOption"] == "FORMATTED_VALUE"


async def test_where_rows_are_written(sheets, google_sheets):
    uri = await sheets.context.files.put("skip me\nä;'x;y'\n1;2\n3;4\n".encode("latin-1"), "rows.csv")
    options = {"fieldDelimiter": ";", "skipLeadingRows": 1, "quote": "'", "encoding": "latin-1"}
    await sheets("Load", from_=uri, csvOptions=options)
    assert google_sheets.sheets["Sheet1"] == [["ä", "x;y"], ["1", "2"], ["3", "4"]]
    one = await sheets.context.files.put(b"a,b\n", "one.csv")
    await sheets("Load", from_=one)
    assert google_sheets.sheets["Sheet1"][0] == ["a", "b"]
    assert len(google_sheets.sheets["Sheet1"]) == 3
    await sheets("Load", from_=one, insertType="APPEND")
    assert google_sheets.sheets["Sheet1"][-1] == ["a", "b"]
    await sheets("Load", from_=one, insertType="OVERWRITE")
    assert google_sheets.sheets["Sheet1"] == [["a", "b"]]
    with pytest.raises(TaskFailed, match="ParquetToIon"):
        await sheets("Load", from_=await sheets.context.files.put(b"PAR1", "rows.parquet"))


async def test_whole_sheets(sheets, google_sheets):
    google_sheets.sheets["Sheet1"] = [["a", "b"], [1]]
    read = await sheets("Read", fetch=True)
    assert (read.size, read.rows) == (4, {"Sheet1": [{"a": 1, "b": None}], "It's": [{"x": "1"}]})
    stored = await sheets("Read", selectedSheetsTitle=["It's"])
    assert json.loads(sheets.context.files.text(stored.uris["It's"])) == {"x": "1"}
    with pytest.raises(TaskFailed, match=r"no sheet 'Nope'.*Sheet1"):
        await sheets("Read", selectedSheetsTitle=["Nope"])


async def test_a_spreadsheet_comes_and_goes(sheets, google_sheets):
    made = await sheets("CreateSpreadsheet", title="Report")
    assert (made.spreadsheetId, google_sheets.made) == ("S2", ["Report"])
    await sheets("DeleteSpreadsheet", spreadsheetId=made.spreadsheetId)
    assert google_sheets.deleted == ["S2"]


async def test_what_google_refuses(sheets):
    with pytest.raises(TaskFailed, match=r"Google Sheets answered 404: Requested entity was not found"):
        await sheets("ReadRange", spreadsheetId="S9", range="A1")
    with pytest.raises(TaskFailed, match="Unable to parse range"):
        await sheets("ReadRange", range="Nope!A1")
    with pytest.raises(TaskFailed, match="is not JSON"):
        await sheets("ReadRange", range="Sheet1", serviceAccount="x")


async def test_what_changes_in_a_sheet_starts_an_execution(sheets, google_sheets, google_service):
    who = {"serviceAccount": google_service.service_account, "spreadsheetId": "S1"}
    declared = {"id": "t", "type": f"{KIND}.SheetModifiedTrigger", **who, "range": "A1:C9", "sheetName": "It's"}
    declared |= {"on": "CREATE_OR_UPDATE", "includeDetails": True, "stateKey": "k", "stateTtl": "P7D"}  # change nothing
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})

    async def look(found=trigger):
        seen = await found.poll(sheets.context)
        sheets.context.memory = json.loads(json.dumps(seen.memory))
        return seen.found

    def changed(who="Bob"):
        google_sheets.version += 1
        google_sheets.editors.append(who)

    assert await look() is None  # how it is at first is no change
    google_sheets.sheets["It's"][1][0] = "2"
    assert await look() is None
    assert google_sheets.wire.last.path.startswith("/drive")  # it was not even read
    changed()
    found = await look()
    assert (found["range"], found["spreadsheetId"]) == ("'It''s'!A1:C9", "S1")
    assert found["diff"]["cellChanges"] == [{"row": 1, "col": 0, "before": "1", "after": "2"}]
    assert (found["count"], found["modifications"]) == (
        1,
        [
            {
                "revisionId": "2",
                "modifiedTime": "2026-01-02T03:04:05.002Z",
                "spreadsheetTitle": "Rota",
                "spreadsheetId": "S1",
                "lastModifyingUser": "Bob",
                "sheetName": "It's",
                "changeDetails": {"affectedRange": "'It''s'!A1:C9", "rowCount": 2, "columnCount": 1, "hasData": True},
            }
        ],
    )
    changed()  # elsewhere
    assert await look() is None
    google_sheets.sheets["It's"].append(["3", "4"])
    changed("Cid")
    changed("Dee")
    found = await look()
    assert [(one["revisionId"], one["lastModifyingUser"]) for one in found["modifications"]] == [
        ("4", "Cid"),
        ("5", "Dee"),
    ]
    diff = found["diff"]
    assert (diff["rowDelta"], diff["rowsBefore"], diff["rowsAfter"], diff["maxColumnsCompared"]) == (1, 2, 3, 2)
    assert [one["after"] for one in diff["cellChanges"]] == ["3", "4"]
    whole = trigger.model_copy(update={"range": None, "sheet_name": None})
    changed()
    assert await look(whole) is None  # another range
    google_sheets.sheets["Sheet1"].append(["x"])
    changed()
    assert (await look(whole))["range"] == "'Sheet1'"
    google_sheets.sheets["Sheet1"].append(["y"])
    changed()
    google_sheets.editors.clear()  # the account may read the sheet, but not who wrote it
    (told,) = (await look(whole))["modifications"]
    assert (told["modifiedTime"], told["lastModifyingUser"]) == ("2026-01-02T03:04:05.008Z", None)


def test_large_sheets_are_remembered_by_a_mark():
    small, large = Sheet.of([["x"]]), Sheet.of([["x" * KEPT]])
    assert large.values is None
    assert small.changes(large) == {
        "rowDelta": 0,
        "rowsBefore": 1,
        "rowsAfter": 1,
        "cellChanges": [],
        "truncated": True,
    }
    many = Sheet.of([[row] for row in range(TOLD + 2)])
    diff = small.changes(many)
    assert (len(diff["cellChanges"]), diff["truncated"]) == (TOLD, True)
    assert Sheet.read(many.document()) == many
