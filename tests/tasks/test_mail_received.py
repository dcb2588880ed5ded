"""Mail that comes starts executions: by IMAP and by POP3."""

import asyncio
import json
from contextlib import aclosing
from datetime import timedelta

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks import mailbox as mailboxes
from engine.tasks.email import MailboxFields
from tests.wire.mailbox import mailbox

__all__ = ["mailbox"]
KIND = "io.kestra.plugin.email.MailReceivedTrigger"
MAIL = """From: Ann Lee <ann@example.com>
To: flows@example.com, "Lee, Bob" <bob@example.com>
Cc: carl@example.com
Subject: =?utf-8?q?=C3=84rger?= with {n}
Date: Thu, 1 Jan 2026 09:00:00 +0100
Message-ID: <{n}@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: multipart/alternative; boundary="a"

--a
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe {n}
.dot
--a
Content-Type: text/html

<p>Hi</p>
--a--
--b
Content-Type: text/csv
Content-Disposition: attachment; filename="t.csv"
Content-Transfer-Encoding: base64

YSxi
--b--
"""


@pytest.fixture(params=["IMAP", "POP3"])
def look(request, context, mailbox):
    """Looks as the engine does: what was seen is remembered at the next look."""

    async def poll(**given):
        port = mailbox.imap if request.param == "IMAP" else mailbox.pop
        server = {"protocol": request.param, "host": "127.0.0.1", "port": port, "ssl": False}
        declared = {"id": "t", "type": KIND, "username": "ann", "password": "right", **server, **given}
        trigger = catalogue().resolve(declared).model_validate(declared)
        seen = await trigger.poll(context)
        context.memory = json.loads(json.dumps(seen.memory))
        return seen.found

    poll.context, poll.protocol = context, request.param
    return poll


async def test_each_mail_starts_one_execution(look, mailbox):
    mailbox.put(MAIL.format(n=0))
    assert await look() is None  # what lies there is old
    assert await look() is None
    mailbox.put(MAIL.format(n=1))
    mailbox.put(MAIL.format(n=2))
    found = await look()
    assert (found.total, [one["messageId"] for one in found.emails]) == (2, ["<1@example.com>", "<2@example.com>"])
    assert found.latestEmail == {
        "subject": "Ärger with 2",
        "from": "ann@example.com",
        "to": ["flows@example.com", "bob@example.com"],
        "cc": ["carl@example.com"],
        "bcc": [],
        "date": "2026-01-01T09:00:00+01:00",
        "body": "Grüße 2\n.dot",
        "messageId": "<2@example.com>",
        "attachments": [{"filename": "t.csv", "contentType": "text/csv", "size": 3}],
    }
    assert await look() is None
    del mailbox.mails[2]
    mailbox.put("Subject: x\n\nplain\n")
    assert [one["body"].strip() for one in (await look()).emails] == ["plain"]
    assert "right" in look.context.masked
    assert not any("STORE" in line or "DELE" in line for line in mailbox.said)


async def test_many_mails_are_handed_on_in_turns(look, mailbox, monkeypatch):
    monkeypatch.setattr(mailboxes, "MOST", 2)
    await look()
    for number in range(5):
        mailbox.put(f"Subject: {number}\n\nx\n")
    turns = [[one["subject"] for one in (await look()).emails] for _ in range(3)]
    assert turns == [["0", "1"], ["2", "3"], ["4"]]
    assert await look() is None


@pytest.mark.parametrize("protocol", ["IMAP", "POP3"])
async def test_each_mail_is_heard_as_it_comes(context, mailbox, monkeypatch, protocol):
    kind = catalogue().resolve({"type": "io.kestra.plugin.notifications.mail.RealTimeTrigger"})
    monkeypatch.setattr(kind, "prompt", timedelta(milliseconds=20))
    port = mailbox.imap if protocol == "IMAP" else mailbox.pop
    given = {"protocol": protocol, "host": "127.0.0.1", "port": port, "ssl": False, "username": "ann"}
    trigger = kind.model_validate(
        {"id": "t", "type": kind.type_names()[0], "interval": "PT1S", **given, "password": "no"}
    )
    with pytest.raises(TaskFailed, match=r"refused.*Wrong password"):
        await anext(trigger.listen(context))
    mailbox.put(MAIL.format(n=0))  # lies there already
    trigger = trigger.model_copy(update={"password": "right"})
    looks, new = [], kind.new

    async def looked(self, context, known):
        looks.append(known)
        if len(looks) == 3:
            raise TaskFailed("127.0.0.1 can't be reached.")
        if len(looks) == 4:
            mailbox.put(MAIL.format(n=1))
            mailbox.put(MAIL.format(n=2))
        return await new(self, context, known)

    monkeypatch.setattr(MailboxFields, "new", looked)
    async with asyncio.timeout(60), aclosing(trigger.listen(context)) as ears:
        found = await anext(ears)
    assert [one.variables["messageId"] for one in found] == ["<1@example.com>", "<2@example.com>"]
    assert found[0].variables["from"] == "ann@example.com"
    assert context.said("can't be reached", "WARN")
    assert "right" in context.masked


async def test_a_huge_mail_is_told_of(look, mailbox, monkeypatch):
    await look()
    if look.protocol == "IMAP":
        monkeypatch.setattr(mailboxes, "LARGEST", 100)
        mailbox.put("Subject: huge\n\n" + "x" * 200)
        (only,) = (await look()).emails
        assert (only["subject"], only["body"]) == ("huge", "")


async def test_a_server_that_numbers_anew_floods_nobody(look, mailbox):
    await look()
    mailbox.put("Subject: old\n\nx\n")
    await look()
    mailbox.validity += 1
    assert await look() is None
    mailbox.put("Subject: new\n\nx\n")
    assert [one["subject"] for one in (await look()).emails] == ["new"]


async def test_what_the_server_refuses(look):
    with pytest.raises(TaskFailed, match=r"refused.*Wrong password.*Check `username`"):
        await look(password="wrong")
    with pytest.raises(TaskFailed, match="can't be reached"):
        await look(port=1)
    if look.protocol == "IMAP":
        with pytest.raises(TaskFailed, match=r"Nope.*No such folder"):
            await look(folder="Nope")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Subject: =?nope?q?x?=\nContent-Type: text/plain; charset=nope\n\n\xff",
        b"From: <<>>, ;\nDate: tomorrow\nContent-Type: multipart/mixed\n\nx",
        b"Subject: \xff\xfe\n\n",
        b"Content-Type: message/rfc822\n\nSubject: inner\n\nx",
    ],
)
def test_odd_mails_are_read_as_far_as_they_go(content):
    assert json.dumps(mailboxes.described(content))
