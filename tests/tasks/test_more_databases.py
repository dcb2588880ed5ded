"""SQL Server and Oracle: where their URLs lead, what a statement is, and what their drivers say when nobody is there.

Neither server runs here: the drivers are real, and talk to a port that hangs up.
"""

import socketserver

import pymssql
import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.jdbc import oracle, sqlserver
from tests.wire.tcp import listening

JDBC = "io.kestra.plugin.jdbc"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("jdbc:sqlserver://db:1434;databaseName=shop", {"server": "db", "port": "1434", "database": "shop"}),
        (
            "jdbc:sqlserver://db;instanceName=two;user=a;password=b=c;encrypt=true;trustServerCertificate=true",
            {"server": "db\\two", "port": "1433", "user": "a", "password": "b=c", "encryption": "require"},
        ),
        ("jdbc:sqlserver://;serverName=db;portNumber=99", {"server": "db", "port": "99"}),
    ],
)
def test_where_a_url_of_sql_server_leads(url, found):
    assert sqlserver.address(url) == found


@pytest.mark.parametrize(
    ("said", "in_url", "security"),
    [
        ({"encrypt": True, "trustServerCertificate": True}, "", "require"),
        ({"encrypt": "{{ 'strict' }}"}, "", "require"),
        ({"encrypt": "TRUE"}, ";encrypt=false", None),
        ({"encrypt": "OPTIONAL", "trustServerCertificate": "{{ true }}"}, "", None),
        ({"trustServerCertificate": True}, ";encrypt=true", "require"),
    ],
)
async def test_how_sql_server_is_asked_to_encrypt(context, monkeypatch, said, in_url, security):
    asked = []

    def connect(**given):
        asked.append(given.get("encryption"))
        raise pymssql.OperationalError("refused")

    monkeypatch.setattr(pymssql, "connect", connect)
    with pytest.raises(TaskFailed, match="could not be reached"):
        await context.run(
            type=f"{JDBC}.sqlserver.Query", url=f"jdbc:sqlserver://127.0.0.1{in_url}", sql="SELECT 1", **said
        )
    assert asked == [security]


@pytest.mark.parametrize("said", [{"trustStore": "/certs.jks"}, {"hostNameInCertificate": "db.example.com"}])
async def test_a_certificate_that_would_have_to_be_checked_is_said(context, said):
    with pytest.raises(TaskFailed, match=r"can't be checked here.*Take out"):
        await context.run(
            type=f"{JDBC}.sqlserver.Query", url="jdbc:sqlserver://127.0.0.1", sql="SELECT 1", encrypt="TRUE", **said
        )


@pytest.mark.parametrize(
    ("url", "found", "hosts"),
    [
        ("jdbc:oracle:thin:@//db:1521/shop", ("db:1521/shop", None, None), ["db"]),
        ("jdbc:oracle:thin:ann/pw@db/shop", ("db/shop", "ann", "pw"), ["db"]),
        ("jdbc:oracle:thin:@tcps://a:1,[::1]:2/shop?x=1", ("tcps://a:1,[::1]:2/shop?x=1", None, None), ["a", "::1"]),
        (
            "jdbc:oracle:thin:@db:1521:ORCL",
            ("(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=db)(PORT=1521))(CONNECT_DATA=(SID=ORCL)))", None, None),
            ["db"],
        ),
        (
            "jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=a)(PORT=1))(ADDRESS=(HOST = b)(PORT=1)))",
            ("(DESCRIPTION=(ADDRESS=(HOST=a)(PORT=1))(ADDRESS=(HOST = b)(PORT=1)))", None, None),
            ["a", "b"],
        ),
    ],
)
def test_where_a_url_of_oracle_leads(url, found, hosts):
    assert oracle.address(url) == found
    assert oracle.hosts(found[0]) == hosts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT 1 FROM dual; SELECT ';' FROM dual;", ["SELECT 1 FROM dual", "SELECT ';' FROM dual"]),
        ("BEGIN a; b; END;", ["BEGIN a; b; END;"]),
        (
            " declare x int; begin null; end;\n/\nbegin b; end;\n/\n",
            ["declare x int; begin null; end;", "begin b; end;"],
        ),
        ("CREATE OR REPLACE PROCEDURE p AS BEGIN a; END;", ["CREATE OR REPLACE PROCEDURE p AS BEGIN a; END;"]),
    ],
)
def test_what_a_statement_of_oracle_is(text, found):
    assert oracle.split(text) == found


class HangsUp(socketserver.StreamRequestHandler):
    """Reads a first word and leaves."""

    def handle(self):
        self.rfile.read(1)


@pytest.mark.parametrize(
    ("kind", "url", "product"),
    [
        ("sqlserver", "jdbc:sqlserver://127.0.0.1:{port};databaseName=shop", "SQL Server"),
        ("oracle", "jdbc:oracle:thin:@//127.0.0.1:{port}/shop", "Oracle"),
    ],
)
async def test_nobody_is_there(make_context, kind, url, product):
    context = make_context()
    with listening(HangsUp) as port:
        at = {"url": url.format(port=port), "username": "flows", "password": "s3cret"}
        uri = await context.files.put(b'{"a": 1}\n', "rows.jsonl")
        for name, given in (
            ("Query", {"sql": "SELECT 1"}),
            ("Queries", {"sql": "SELECT 1; SELECT 2"}),
            ("Batch", {"from_": uri, "table": "t"}),
        ):
            with pytest.raises(TaskFailed, match=rf"{product} could not be reached at .*{port}.*Check `url`"):
                await context.run(type=f"{JDBC}.{kind}.{name}", **at, **given)
        declared = {"id": "t", "type": f"{JDBC}.{kind}.Trigger", **at, "sql": "SELECT 1", "fetchType": "FETCH"}
        trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
        with pytest.raises(TaskFailed, match=f"{product} could not be reached"):
            await trigger.poll(context)
    assert "s3cret" in context.masked
    with pytest.raises(TaskFailed, match="does not begin with"):
        await context.run(type=f"{JDBC}.{kind}.Query", url="jdbc:mysql://x", sql="SELECT 1")
    for address in ("169.254.169.254", "metadata.google.internal"):
        metadata = {**at, "url": url.format(port=port).replace("127.0.0.1", address)}
        with pytest.raises(TaskFailed, match="metadata"):
            await context.run(type=f"{JDBC}.{kind}.Query", **metadata, sql="SELECT 1")


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("sqlserver", "jdbc:sqlserver://127.0.0.1:9;user=ann;password=in-the-url"),
        ("oracle", "jdbc:oracle:thin:ann/in-the-url@//127.0.0.1:9/shop"),
        ("mysql", "jdbc:mysql://127.0.0.1:9/shop?user=ann&password=in-the-url"),
        ("postgresql", "jdbc:postgresql://127.0.0.1:9/shop?user=ann&password=in-the-url"),
    ],
)
async def test_a_password_in_the_url_is_a_secret(context, kind, url):
    with pytest.raises(TaskFailed, match="could not be reached") as caught:  # nobody is there
        await context.run(type=f"{JDBC}.{kind}.Query", url=url, sql="SELECT 1")
    assert "in-the-url" in context.masked
    assert "in-the-url" not in str(caught.value)


@pytest.mark.parametrize("where", ["config-file:///etc/shop.json", "(DESCRIPTION=(CONNECT_DATA=(SID=x)))"])
async def test_oracle_goes_nowhere_without_a_host(context, where):
    with pytest.raises(TaskFailed, match="names no host"):
        await context.run(type=f"{JDBC}.oracle.Query", url=f"jdbc:oracle:thin:@{where}", sql="SELECT 1")
