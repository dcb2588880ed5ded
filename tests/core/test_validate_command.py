import json

import pytest
import typer

from bot.cli.validate import validate

GOOD = "id: {id}\nnamespace: company.team\ntasks:\n  - {{id: a, type: io.kestra.plugin.core.log.Log, message: x}}\n"
BAD = (
    "id: bad\nnamespace: company.team\ntasks:\n"
    + "  - {id: a, type: io.kestra.plugin.core.log.Log, message: x, levl: WARN}\n"
)
ODD = (
    GOOD.format(id="odd") + "triggers:\n  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '* 8 * * *'}\n"
)
CALLS = """id: calls
namespace: company.team
tasks:
  - {id: near, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: good}
  - {id: far, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: nowhere}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "good.yaml").write_text(GOOD.format(id="good"))
    (tmp_path / ".hidden" / "bad.yaml").write_text("a: 'x")
    (tmp_path / "unit_test.yaml").write_text("id: t\ntestCases: []\n")
    (tmp_path / "notes.txt").write_text("no flow")
    return tmp_path


def run(capsys, *paths, expected=0, **options):
    code = 0
    try:
        validate(list(paths), **options)
    except typer.Exit as stop:
        code = stop.exit_code
    assert code == expected
    return capsys.readouterr()


def test_good_files_are_counted(folder, capsys):
    assert run(capsys, folder).out == "1 file: all good\n"


def test_an_error_has_its_place_and_advice_and_fails(folder, capsys):
    (folder / "more" / "bad.yml").write_text(BAD)
    out = run(capsys, folder, expected=1).out
    assert (
        f"{folder}/more/bad.yml:4:62: error: tasks[0].levl: Unknown property `levl`.\n    Did you mean `level`?\n"
        in out
    )
    assert out.endswith("2 files: 1 error\n")


def test_warnings_fail_only_when_strict(folder, capsys):
    (folder / "odd.yaml").write_text(ODD)
    assert "60 runs between 8:00 and 8:59" in run(capsys, folder / "odd.yaml").out
    run(capsys, folder / "odd.yaml", expected=1, strict=True)


def test_json_is_a_list_with_all_fields(folder, capsys):
    (folder / "bad.yaml").write_text(BAD)
    found = json.loads(run(capsys, folder / "bad.yaml", expected=1, format="json").out)
    assert found == [
        {
            "file": str(folder / "bad.yaml"),
            "line": 4,
            "column": 62,
            "path": "tasks[0].levl",
            "severity": "error",
            "code": "unknown-property",
            "message": "Unknown property `levl`.",
            "suggestion": "Did you mean `level`?",
        }
    ]
    assert json.loads(run(capsys, folder / "good.yaml", format="json").out) == []


def test_github_annotations_are_escaped(folder, capsys):
    (folder / "a,b.yaml").write_text(BAD)
    out = run(capsys, folder / "a,b.yaml", expected=1, format="github").out
    assert out.startswith("::error file=")
    assert "a%2Cb.yaml,line=4,col=62,title=unknown-property::tasks[0].levl: Unknown property" in out


def test_sarif_has_a_result_with_its_region(folder, capsys):
    (folder / "odd.yaml").write_text(ODD)
    (sarif,) = json.loads(run(capsys, folder / "odd.yaml", format="sarif").out)["runs"]
    (result,) = sarif["results"]
    assert (result["ruleId"], result["level"]) == ("cron-burst", "warning")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 6, "startColumn": 59}
    assert {"id": "cron-burst"} in sarif["tool"]["driver"]["rules"]


def test_a_subflow_is_looked_for_beside_the_file(folder, capsys):
    (folder / "calls.yaml").write_text(CALLS)
    found = json.loads(run(capsys, folder / "calls.yaml", format="json").out)
    assert [(one["path"], one["code"]) for one in found] == [("tasks[1].flowId", "missing-flow")]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: 'x", b"", b"- 1"])
def test_any_file_gets_an_answer(folder, capsys, content):
    (folder / "any.yaml").write_bytes(content)
    out = run(capsys, folder / "any.yaml", expected=1).out
    assert "any.yaml:1:" in out


@pytest.mark.parametrize(("paths", "options"), [(["nowhere.yaml"], {}), (["good.yaml"], {"format": "xml"})])
def test_a_wrong_call_is_2(folder, capsys, paths, options):
    said = run(capsys, *[folder / path for path in paths], expected=2, **options)
    assert said.out == ""
    assert said.err


def test_global_defaults_of_the_settings_count(folder, capsys, monkeypatch):
    (folder / "parley.yaml").write_text(
        "plugin_defaults:\n  - type: io.kestra.plugin.core.log\n    values: {message: hello}\n"
    )
    (folder / "short.yaml").write_text(BAD.replace(", message: x, levl: WARN", "").replace("id: bad", "id: short"))
    assert run(capsys, folder / "short.yaml").out == "1 file: all good\n"
