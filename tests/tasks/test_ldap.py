"""Directories: entries and changes as LDIF and as rows, and OpenLDAP itself."""

import asyncio
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.state import State
from engine.errors import TaskFailed
from engine.tasks.ldap_connection import LdapConnected
from engine.tasks.ldif import ldif_of, raw_of, records_of, value_of
from tests.wire.certificates import self_signed
from tests.wire.slapd import ADMIN, PASSWORD, SUFFIX, slapd

LDAP = "io.kestra.plugin.ldap"

WRITTEN = """version: 1
# a comment
dn: cn=bob,dc=orga,dc=com
description: Some text that is
  folded
description:: TGlzdGUgZCfDiXQ=
photo:: /wA=
other:

dn: cn=triss,dc=orga,dc=com
changetype: modify
delete: description
description: Some
-
add: description
description: More
-
replace: other
-

dn: cn=triss,dc=orga,dc=com
changetype: delete

dn: cn=triss,dc=orga,dc=com
changetype: modrdn
newrdn: cn=tris
deleteoldrdn: 1
newsuperior: ou=old,dc=orga,dc=com
"""
READ = [
    {
        "dn": "cn=bob,dc=orga,dc=com",
        "attributes": {
            "description": ["Some text that is folded", "Liste d'Ét"],
            "photo": [{"base64": "/wA="}],
            "other": [""],
        },
    },
    {
        "dn": "cn=triss,dc=orga,dc=com",
        "changeType": "modify",
        "modifications": [
            {"operation": "DELETE", "attribute": "description", "values": ["Some"]},
            {"operation": "ADD", "attribute": "description", "values": ["More"]},
            {"operation": "REPLACE", "attribute": "other", "values": []},
        ],
    },
    {"dn": "cn=triss,dc=orga,dc=com", "changeType": "delete"},
    {
        "dn": "cn=triss,dc=orga,dc=com",
        "changeType": "moddn",
        "newDn": {"newrdn": "cn=tris", "deleteoldrdn": True, "newsuperior": "ou=old,dc=orga,dc=com"},
    },
]


def test_files_are_read_and_written():
    assert list(records_of(WRITTEN)) == READ
    assert list(records_of(ldif_of(READ))) == READ
    assert "description:: TGlzdGUgZCfDiXQ=\n" in ldif_of(READ)


@given(st.lists(st.one_of(st.text(st.characters(exclude_categories=("Cs",))), st.binary()), min_size=1))
def test_any_value_comes_back(values):
    raws = [value.encode() if isinstance(value, str) else value for value in values]
    entry = {"dn": "cn=x", "attributes": {"a": [value_of(raw) for raw in raws]}}
    assert [raw_of(value) for value in next(records_of(ldif_of([entry])))["attributes"]["a"]] == raws


def test_names_that_are_no_utf_8_are_written_in_hexadecimal():
    text = "dn:: Y249TfxsbGVyAFwyLGRjPWNvbQ==\nchangetype: moddn\nnewrdn:: Y249TfxsbGVy\nnewsuperior:: b3U9w4k=\n"
    (record,) = records_of(text)
    assert record["dn"] == r"cn=M\FCller\00\2,dc=com"
    assert record["newDn"] == {"newrdn": r"cn=M\FCller", "deleteoldrdn": False, "newsuperior": "ou=É"}
    assert list(records_of(ldif_of([record]))) == [record]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cn: x\n", "Line 1: 'cn: x' begins no entry"),
        ("dn: cn=x\nnonsense\n", "Line 2: 'nonsense' is no attribute"),
        ("dn: cn=x\nphoto:< file:///etc/passwd\n", "Line 2: .*is no attribute"),
        ("dn: cn=x\nphoto:: %%\n", "is not Base64"),
        ("dn: cn=x\nphoto:: Ä\n", "is not Base64"),
        ("dn: cn=x\nchangetype: burn\n", "no change 'burn'"),
        ("dn: cn=x\nchangetype: modify\nburn: x\n", "Line 3: there is no change 'burn'"),
        ("dn: cn=x\nchangetype: moddn\n", "gets no new name"),
        ("dn: cn=x\ncontrol: 1.2\nchangetype: delete\n", "controls are not supported"),
    ],
)
def test_what_is_no_ldif(text, said):
    with pytest.raises(TaskFailed, match=said):
        list(records_of(text))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"changeType": "burn"}, "there is no change 'burn'"),
        ({"changeType": "delete\n\ndn: cn=other"}, "there is no change"),
        ({"attributes": ["cn"]}, r"`attributes` is no map: \"\['cn'\]\""),
        ({"changeType": "modify", "modifications": "all"}, "`modifications` is no list"),
        ({"changeType": "modify", "modifications": ["cn"]}, "'cn' is no change"),
        ({"changeType": "moddn", "newDn": "cn=y"}, "`newDn` is no map"),
    ],
)
def test_rows_that_are_no_entries_say_why(row, said):
    with pytest.raises(TaskFailed, match=said):
        ldif_of([{"dn": "cn=x", **row}])


def test_one_value_of_a_change_is_not_taken_apart():
    change = {"operation": "REPLACE", "attribute": "mail", "values": "a@x.en"}
    assert "\nmail: a@x.en\n-\n" in ldif_of([{"dn": "cn=x", "changeType": "modify", "modifications": [change]}])


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slapd")
    self_signed(folder)
    with slapd(folder / "x", folder / "server.pem") as ports:
        yield ports


def entry(name, **given):
    return {"dn": f"cn={name},{SUFFIX}", "attributes": {"objectClass": ["inetOrgPerson"], "sn": ["S"], **given}}


async def test_entries_come_change_and_go(context, ports, monkeypatch):
    monkeypatch.setattr("engine.tasks.ldap_connection.PAGE", 2)

    async def run(kind, **given):
        who = {"hostname": "127.0.0.1", "port": ports[0], "userDn": ADMIN, "password": PASSWORD}
        return await context.run(type=f"{LDAP}.{kind}", **{**who, **given})

    async def file(rows):
        uri = await context.files.put("".join(json.dumps(row) + "\n" for row in rows).encode(), "rows.jsonl")
        return (await context.run(type=f"{LDAP}.IonToLdif", inputs=[uri])).urisList

    async def found(**given):
        uri = (await run("Search", baseDn=SUFFIX, **given)).uri
        (rows,) = (await context.run(type=f"{LDAP}.LdifToIon", inputs=[uri])).urisList
        read = [json.loads(line) for line in context.files.text(rows).splitlines()]
        return {row["dn"].partition(",")[0]: row["attributes"] for row in read}

    root = {"dn": SUFFIX, "attributes": {"objectClass": ["dcObject", "organization"], "o": ["Orga"]}}
    people = [
        entry(name, mail=[f"{name}@orga.en"], description=["Ät"], jpegPhoto=[{"base64": "/wA="}]) for name in "abc"
    ]
    done = await run("Add", inputs=await file([root, *people]))
    assert (done.state, context.metrics["additions.done"]) == (State.SUCCESS, 4)
    assert (await found(filter="(cn=a)"))["cn=a"] == {**people[0]["attributes"], "cn": ["a"]}
    assert set(await found()) == {"dc=orga", "cn=a", "cn=b", "cn=c"}  # two a page
    assert len(await found(sizeLimit=3)) == 3
    assert await found(filter="(|(cn=a)\n  (cn=b))", attributes=["mail"]) == {
        "cn=a": {"mail": ["a@orga.en"]}, "cn=b": {"mail": ["b@orga.en"]},
    }  # fmt: skip
    assert set(await found(sub="BASE")) == {"dc=orga"}
    assert set(await found(sub="ONE")) == set(await found(sub="SUBORDINATE_SUBTREE")) == {"cn=a", "cn=b", "cn=c"}

    changes = [
        {
            "dn": people[0]["dn"],
            "changeType": "modify",
            "modifications": [
                {"operation": "REPLACE", "attribute": "mail", "values": ["new@orga.en"]},
                {"operation": "DELETE", "attribute": "description", "values": []},
            ],
        },
        {"dn": people[1]["dn"], "changeType": "moddn", "newDn": {"newrdn": "cn=z", "deleteoldrdn": True}},
        {"dn": f"cn=nobody,{SUFFIX}", "changeType": "delete"},
    ]
    done = await run("Modify", inputs=await file(changes))
    assert done.state is State.WARNING
    assert context.said(rf"cn=nobody,{SUFFIX}: noSuchObject", "WARN")
    now = await found(filter="(objectClass=inetOrgPerson)", attributes=["mail", "description"])
    assert now["cn=a"] == {"mail": ["new@orga.en"]}
    assert set(now) == {"cn=a", "cn=c", "cn=z"}
    await run("Delete", inputs=await file([{"dn": f"cn={name},{SUFFIX}"} for name in "acz"]))
    assert set(await found()) == {"dc=orga"}
    with pytest.raises(TaskFailed, match=r"refused all of 1: .*entryAlreadyExists"):
        await run("Add", inputs=await file([root]))
    with pytest.raises(TaskFailed, match="is no new entry"):
        await run("Add", inputs=await file(changes[:1]))
    with pytest.raises(TaskFailed, match="is no change"):
        await run("Modify", inputs=await file([root]))


async def test_a_killed_task_changes_nothing_more(context, ports):
    who = {"hostname": "127.0.0.1", "port": ports[0], "userDn": ADMIN, "password": PASSWORD}
    begun, killed, over, said = threading.Event(), threading.Event(), threading.Event(), []

    def work(directory):
        begun.set()
        killed.wait(30)
        for act in (lambda: directory.change(entry("late")), lambda: directory.found("", "BASE", "(a=*)", ["*"])):
            try:
                said.append(act())
            except TaskFailed as error:
                said.append(error.message)
        over.set()

    asking = asyncio.create_task(LdapConnected(**who).directory(context, work))
    await asyncio.to_thread(begun.wait, 30)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    killed.set()
    await asyncio.to_thread(over.wait, 30)
    assert said == ["The task was killed."] * 2


async def test_who_is_refused(context, ports):
    plain, secure = ports
    asked = {"type": f"{LDAP}.Search", "hostname": "127.0.0.1", "port": plain, "userDn": ADMIN, "password": PASSWORD}
    for wrong, said in [
        ({"password": "no"}, r"refused cn=admin.*Check `userDn` and `password`"),
        ({"port": 1}, r"could not be reached.*Check host, port and TLS"),
        ({"baseDn": "dc=none"}, "refused: noSuchObject"),
        ({"filter": "(cn=*"}, "refused: .*filter"),
        ({"authMethod": "gssapi"}, "Kerberos is not supported"),
        ({"hostname": "169.254.169.254"}, "link-local"),
        ({"port": secure, "sslOptions": {"insecureTrustAllCertificates": False}}, "certificate verify failed"),
    ]:
        with pytest.raises(TaskFailed, match=said):
            await context.run(**{**asked, **wrong})
    assert PASSWORD in context.masked
    over_tls = {"port": secure, "sslOptions": {"insecureTrustAllCertificates": True}}
    with pytest.raises(TaskFailed, match="refused: noSuchObject"):  # it was let in
        await context.run(**{**asked, **over_tls, "baseDn": "dc=none"})


async def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(context):
    uri = await context.files.put("\ufeffdn: cn=ann\ncn: ann\n".encode(), "of_windows.ldif")
    (rows,) = (await context.run(type=f"{LDAP}.LdifToIon", inputs=[uri])).urisList
    assert json.loads(context.files.text(rows)) == {"dn": "cn=ann", "attributes": {"cn": ["ann"]}}
