"""`io.kestra.plugin.ldap`: people, groups and machines in directories."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.state import State
from engine.plugin import Outputs, Property, Result, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.fetched_rows import filed
from engine.tasks.ldap_connection import Directory, LdapConnected, said
from engine.tasks.ldif import Record, ldif_of, records_of, value_of
from engine.tasks.property_types import Text, TextList
from engine.tasks.rows import values_of

SCOPES = {"BASE": "BASE", "ONE": "LEVEL", "SUB": "SUBTREE", "SUBORDINATE_SUBTREE": "SUBTREE"}


class Found(Outputs):
    """A file of what was found, as LDIF."""

    uri: StoredUri


class Search(LdapConnected, RunnableTask):
    """Look for entries in a directory."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: on_call
type: io.kestra.plugin.ldap.Search
hostname: ldap.example.com
port: 636
userDn: cn=flows,dc=example,dc=com
password: "{{ secret('LDAP_PASSWORD') }}"
baseDn: ou=people,dc=example,dc=com
filter: (&(objectClass=inetOrgPerson)(memberOf=cn=on-call,ou=groups,dc=example,dc=com))
attributes: [cn, mail]
""",
    )
    type: Literal["io.kestra.plugin.ldap.Search"]
    filter: Property[Text] = "(objectclass=*)"
    attributes: Property[TextList] = Field(
        default_factory=lambda: ["*"], description="`+`: those of the directory itself; `1.1`: none."
    )
    base_dn: Property[Text] = "ou=system"
    sub: Property[Literal["BASE", "ONE", "SUB", "SUBORDINATE_SUBTREE"]] = "SUB"
    size_limit: Property[int] = Field(default=0, ge=0, description="At most so many entries; 0: all.")

    async def run(self, context: RunContext) -> Found:
        wanted = "".join(line.strip() for line in self.filter.splitlines())
        asked = ["*"] if "0.0" in self.attributes else list(self.attributes)
        began = time.monotonic()
        found = await self.directory(
            context,
            lambda directory: directory.found(self.base_dn, SCOPES[self.sub], wanted, asked, self.size_limit or None),
        )
        context.metric("searche.meanTime", time.monotonic() - began, "timer", origin="retrieve")
        own = self.base_dn.replace(" ", "").lower() if self.sub == "SUBORDINATE_SUBTREE" else None
        entries = [_entry(one) for one in found if str(one["dn"]).replace(" ", "").lower() != own]
        context.metric("entries.found", len(entries), origin="retrieve")
        return Found(uri=await context.files.put((await asyncio.to_thread(ldif_of, entries)).encode(), "entries.ldif"))


class ChangeTask(LdapConnected, RunnableTask):
    """Does what files of LDIF say, record by record. One that is refused is logged; the task then ends as WARNING, and
    fails when the directory took none."""

    counted: ClassVar[tuple[str, str]]  # the names of its metrics: asked for, and done
    inputs: Property[TextList] = Field(description="URIs of files of LDIF.")

    async def run(self, context: RunContext) -> Result:
        records = [one for uri in self.inputs for one in await _read(context, uri)]
        wanted = [self.change(record) for record in records]
        refused = await self.directory(context, lambda directory: _changed(directory, wanted))
        for name, count in zip(self.counted, (len(wanted), len(wanted) - len(refused)), strict=True):
            context.metric(name, count, origin="input")
        for refusal in refused:
            context.log(refusal, "WARN")
        if refused and len(refused) == len(wanted):
            raise TaskFailed(f"The directory refused all of {len(wanted)}: {refused[0]}.", fix="The log names each.")
        return Result(state=State.WARNING if refused else State.SUCCESS)

    @abstractmethod
    def change(self, record: Record) -> Record:
        """What a record means here; TaskFailed when nothing."""


class Add(ChangeTask):
    """Add entries to a directory."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: newcomers
type: io.kestra.plugin.ldap.Add
hostname: ldap.example.com
port: 636
userDn: cn=flows,dc=example,dc=com
password: "{{ secret('LDAP_PASSWORD') }}"
inputs:
  - "{{ outputs.entries.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.ldap.Add"]
    counted: ClassVar[tuple[str, str]] = ("additions.requested", "additions.done")

    def change(self, record: Record) -> Record:
        if record.get("changeType", "add") != "add":
            raise TaskFailed(f"{record['dn']} is no new entry.", fix="Use the task `Modify` for changes.")
        return record


class Modify(ChangeTask):
    """Make changes in a directory: add, modify, delete and rename entries."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: moves
type: io.kestra.plugin.ldap.Modify
hostname: ldap.example.com
port: 636
userDn: cn=flows,dc=example,dc=com
password: "{{ secret('LDAP_PASSWORD') }}"
inputs:
  - "{{ outputs.changes.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.ldap.Modify"]
    counted: ClassVar[tuple[str, str]] = ("modifications.requested", "modifications.done")

    def change(self, record: Record) -> Record:
        if "changeType" not in record:
            raise TaskFailed(f"{record['dn']} is no change.", fix="Write `changetype: modify`, or use the task `Add`.")
        return record


class Delete(ChangeTask):
    """Delete entries from a directory: those that files of LDIF name."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: leavers
type: io.kestra.plugin.ldap.Delete
hostname: ldap.example.com
port: 636
userDn: cn=flows,dc=example,dc=com
password: "{{ secret('LDAP_PASSWORD') }}"
inputs:
  - "{{ outputs.gone.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.ldap.Delete"]
    counted: ClassVar[tuple[str, str]] = ("deletions.requested", "deletions.done")

    def change(self, record: Record) -> Record:
        return {"dn": record["dn"], "changeType": "delete"}


class Translated(Outputs):
    """The new files."""

    urisList: list[str]  # noqa: N815 - appears as written


class LdifToIon(RunnableTask):
    """Read files of LDIF into files of rows, an entry or a change a row."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.ldap.LdifToIon
inputs:
  - "{{ outputs.on_call.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.ldap.LdifToIon"]
    inputs: Property[TextList]

    async def run(self, context: RunContext) -> Translated:
        made = []
        for uri in self.inputs:
            rows = await _read(context, uri)
            context.metric("entries.translated", len(rows), origin="LdifToIon")
            made.append(await filed(context, rows, "entries.jsonl"))
        return Translated(urisList=made)


class IonToLdif(RunnableTask):
    """Write files of rows as LDIF."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: entries
type: io.kestra.plugin.ldap.IonToLdif
inputs:
  - "{{ outputs.people.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.ldap.IonToLdif"]
    inputs: Property[TextList]

    async def run(self, context: RunContext) -> Translated:
        made = []
        for uri in self.inputs:
            path = context.files.path(uri)
            rows = await asyncio.to_thread(lambda path=path: list(values_of(path)))  # type: ignore[misc]
            context.metric("entries.translated", len(rows), origin="Ionise")
            text = await asyncio.to_thread(ldif_of, rows)
            made.append(await context.files.put(text.encode(), "entries.ldif"))
        return Translated(urisList=made)


def _entry(found: Mapping[str, Any]) -> Record:
    values = {name: [value_of(raw) for raw in raws] for name, raws in found["raw_attributes"].items()}
    return {"dn": str(found["dn"]), "attributes": values}


async def _read(context: RunContext, uri: str) -> list[Record]:
    path = context.files.path(uri)
    try:
        return await asyncio.to_thread(lambda: list(records_of(path.read_text("utf-8-sig"))))
    except UnicodeDecodeError as error:
        raise TaskFailed(f"{path.name} is not in UTF-8: {error}.", fix="Convert it first.") from error


def _changed(directory: Directory, records: list[Record]) -> list[str]:
    """What the directory said to each record that it refused."""
    refused = []
    for record in records:
        try:
            directory.change(record)
        except directory.refusal as error:
            refused.append(f"{record['dn']}: {said(error)}")
    return refused
