"""Connections to MongoDB, and documents between JSON and what MongoDB keeps."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.property_types import Text
from engine.tasks.sql_rows import json_value
from engine.tasks.sql_task import reachable
from engine.tasks.threads import in_own_thread

R = TypeVar("R")
PATIENCE = 10_000  # milliseconds until a server is found, unless the URI says how long


class Connection(Part):
    """Where MongoDB is, and who we are there."""

    uri: Property[Text]


class Collected(Part):
    """A collection of a database."""

    connection: Connection
    database: Property[Text]
    collection: Property[Text]

    async def using(self, context: RunContext, work: Callable[[Any], R]) -> R:
        """What `work` makes of the collection; TaskFailed when nobody answers or MongoDB refuses what is asked."""
        pymongo, errors = extra("pymongo", "mongodb"), extra("pymongo.errors", "mongodb")
        parse_uri = extra("pymongo.uri_parser", "mongodb").parse_uri
        uri = self.connection.uri.strip()
        try:
            told = await in_own_thread(partial(parse_uri, uri))  # a name of `mongodb+srv` is looked up
        except (errors.PyMongoError, ValueError) as error:
            raise TaskFailed(f"`connection.uri` can't be read: {error}", fix="mongodb://user:password@host/") from error
        if told["password"]:
            context.mask(told["password"])
        for host, _ in told["nodelist"]:
            await reachable(context, host)
        is_said = any(name.lower() == "serverselectiontimeoutms" for name in told["options"])
        patience = {} if is_said else {"serverSelectionTimeoutMS": PATIENCE}
        # Not the client for asyncio: what it leaves half open at its end stays so (pymongo 4.20).
        client = pymongo.MongoClient(uri, tz_aware=True, appname="parley", connect=False, **patience)

        def worked() -> R:
            with client:
                return work(client[self.database][self.collection])

        try:
            return await in_own_thread(worked)
        except asyncio.CancelledError:
            await in_own_thread(client.close)
            raise
        except (errors.ServerSelectionTimeoutError, errors.AutoReconnect) as error:
            hosts = ", ".join(f"{host}:{port}" for host, port in told["nodelist"])
            raise TaskFailed(f"MongoDB could not be reached at {hosts}.", fix="Check `connection.uri`.") from error
        except errors.PyMongoError as error:
            raise TaskFailed(f"MongoDB refused: {_reason(error)}") from error


def document(given: Any, name: str) -> dict[str, Any]:
    """A document from a map or JSON text in MongoDB's extended JSON (`$oid`, `$date` …); TaskFailed when it is none."""
    json_util = extra("bson.json_util", "mongodb")
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)
    try:
        found = json_util.loads(text, json_options=json_util.RELAXED_JSON_OPTIONS)
    except (ValueError, TypeError) as error:
        raise TaskFailed(f"`{name}` is no document: {error}", fix="Give a map, or JSON text of one.") from error
    if not isinstance(found, Mapping):
        raise TaskFailed(f"`{name}` is no document but {type(found).__name__}.", fix="Give a map, or JSON text of one.")
    return dict(found)


def plain(value: Any) -> Any:
    """What MongoDB keeps as JSON: ids as their text, moments in ISO, numbers as numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    kind = type(value).__name__
    if kind == "Decimal128":
        return json_value(value.to_decimal())
    if kind == "Timestamp":
        value = value.as_datetime()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return int(value) if kind == "Int64" else json_value(value)


def _reason(error: Any) -> str:
    """What a refusal says: of many writes, the first that failed."""
    details = getattr(error, "details", None) or {}
    failed = (details.get("writeErrors") or [{}])[0]
    return str(failed.get("errmsg") or details.get("errmsg") or error)
