"""Jobs of BigQuery: begun once, waited for, and their rows as plain values."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.gcp_service import GcpConnected, is_conflict
from engine.tasks.property_types import OptionalText

FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0  # seconds between two looks at a job

Job = dict[str, Any]


class BigQueryConnected(GcpConnected):
    """A task of BigQuery."""

    api: ClassVar[str] = "bigquery"
    public_url: ClassVar[str] = "https://bigquery.googleapis.com/bigquery/v2"
    location: Property[OptionalText] = None
    retry_auto: Any = None
    retry_reasons: Any = None
    retry_messages: Any = None

    async def job(
        self,
        context: RunContext,
        configuration: Mapping[str, Any],
        begin: Callable[[Job], Awaitable[Job]] | None = None,
    ) -> Job:
        """A job that has ended well. Its id is the attempt's: begun again after a crash, it is found, not doubled. A
        killed task cancels its job; one that goes on after that, for only the bot was stopped, begins another.

        TaskFailed with what BigQuery says when it ended badly.
        """
        project = self.project(context)
        name = re.sub(r"[^A-Za-z0-9_-]", "_", f"parley_{context.task_run_id}_{context.attempt}")
        for number in count(1):
            reference = {"projectId": project, "jobId": name if number == 1 else f"{name}_{number}"}
            reference |= {"location": self.location} if self.location else {}
            body = {"jobReference": reference, "configuration": dict(configuration)}
            stop = partial(self._asked, context, "POST", reference, "/cancel")
            async with rest_service.stopping(context, f"The job {reference['jobId']}", stop):
                made = await self._begun(context, body, begin)
                reference.update(rest_service.held(made, "Google Cloud", "jobReference"))  # with the place it runs at
                if not _is_cancelled(made):
                    return await self._ended(context, made)
        raise AssertionError

    async def _begun(self, context: RunContext, body: Job, begin: Callable[[Job], Awaitable[Job]] | None) -> Job:
        """The job as it was begun, or as it is found."""
        project, reference = self.project(context), body["jobReference"]
        try:
            return await (begin(body) if begin else self.gcp(context, "POST", f"projects/{project}/jobs", json=body))
        except TaskFailed as error:
            if not is_conflict(error):
                raise
            context.log(f"The job {reference['jobId']} is there already; it is waited for.")
            return await self._asked(context, "GET", reference)

    async def _asked(self, context: RunContext, method: Literal["GET", "POST"], reference: Job, verb: str = "") -> Job:
        path = f"projects/{reference['projectId']}/jobs/{reference['jobId']}{verb}"
        params = {"location": reference["location"]} if reference.get("location") else {}
        return await self.gcp(context, method, path, params=params)

    async def _ended(self, context: RunContext, job: Job) -> Job:
        reference, wait = job["jobReference"], FIRST_WAIT
        while (job.get("status") or {}).get("state") != "DONE":
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT)
            job = await self._asked(context, "GET", reference)
        status = job["status"]
        if status.get("errorResult"):
            more = [str(one.get("message")) for one in status.get("errors") or () if one != status["errorResult"]]
            for message in more[:20]:
                context.log(message, "ERROR")
            raise TaskFailed(f"BigQuery: {status['errorResult'].get('message', status['errorResult'])}")
        return job


def _is_cancelled(job: Job) -> bool:
    """Whether somebody cancelled a job: https://cloud.google.com/bigquery/docs/error-messages names it `stopped`."""
    return ((job.get("status") or {}).get("errorResult") or {}).get("reason") == "stopped"


def table_of(name: str) -> dict[str, str]:
    """`project.dataset.table` in Google's JSON; TaskFailed when it is none."""
    parts = re.split(r"[.:]", name.strip("`"))
    if len(parts) < 3 or not all(parts):
        raise TaskFailed(f"{name!r} is not a table.", fix="Write it as project.dataset.table.")
    return {"projectId": ".".join(parts[:-2]), "datasetId": parts[-2], "tableId": parts[-1]}


async def rows_of(
    tables: BigQueryConnected, context: RunContext, reference: Mapping[str, str], most: int | None
) -> list[dict[str, Any]]:
    """All rows of a job's result."""
    params = {"maxResults": str(most or 10_000)}
    if reference.get("location"):
        params["location"] = reference["location"]
    pages = await tables.pages(context, f"projects/{reference['projectId']}/queries/{reference['jobId']}", params)
    fields: list[dict[str, Any]] = next((page["schema"]["fields"] for page in pages if "schema" in page), [])
    return [record(fields, row) for page in pages for row in page.get("rows", ())]


def record(fields: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> dict[str, Any]:
    """A row, or a record inside of one, by the names of its columns."""
    cells = row.get("f", ())
    return {field["name"]: value_of(field, cell.get("v")) for field, cell in zip(fields, cells, strict=False)}


def value_of(field: Mapping[str, Any], value: Any) -> Any:
    """What stands in JSON for a cell."""
    if value is None:
        return None
    if field.get("mode") == "REPEATED":
        return [value_of({**field, "mode": "NULLABLE"}, item.get("v")) for item in value]
    match field["type"]:
        case "RECORD" | "STRUCT":
            return record(field.get("fields", ()), value)
        case "INTEGER" | "INT64":
            return int(value)
        case "FLOAT" | "FLOAT64":
            return float(value) if value not in ("NaN", "Infinity", "-Infinity") else None
        case "NUMERIC" | "BIGNUMERIC":
            number = float(value)
            return int(value) if re.fullmatch(r"-?\d+", value) else number
        case "BOOLEAN" | "BOOL":
            return str(value).lower() == "true"
        case "TIMESTAMP":
            return datetime.fromtimestamp(float(value), UTC).isoformat()
    return value
