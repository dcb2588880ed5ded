"""`io.kestra.plugin.aws.dynamodb`: tables of items."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.extras import extra
from engine.tasks.fetched_rows import filed
from engine.tasks.property_types import JsonMap, OptionalInteger, Text
from engine.tasks.sql_rows import json_value

SERVICE = "AWS dynamodb"


class TableTask(AwsConnected, RunnableTask):
    """Of which table."""

    table_name: Property[Text]


class PutItem(TableTask):
    """Write an item."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.aws.dynamodb.PutItem
region: eu-central-1
tableName: runs
item:
  id: "{{ execution.id }}"
  flow: "{{ flow.id }}"
""",
    )
    type: Literal["io.kestra.plugin.aws.dynamodb.PutItem"]
    item: Property[JsonMap]

    async def run(self, context: RunContext) -> None:
        item = _written(self.item)
        await self.aws(context, "dynamodb", lambda client: client.put_item(TableName=self.table_name, Item=item))


class OneItem(Outputs):
    """The item, if there is one."""

    row: dict[str, Any] | None


class GetItem(TableTask):
    """Read an item."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.aws.dynamodb.GetItem
region: eu-central-1
tableName: runs
key:
  id: "{{ inputs.run }}"
""",
    )
    type: Literal["io.kestra.plugin.aws.dynamodb.GetItem"]
    key: Property[JsonMap]

    async def run(self, context: RunContext) -> OneItem:
        key = _written(self.key)
        found = await self.aws(context, "dynamodb", lambda client: client.get_item(TableName=self.table_name, Key=key))
        return OneItem(row=_read(found["Item"]) if "Item" in found else None)


class DeleteItem(TableTask):
    """Delete an item."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.aws.dynamodb.DeleteItem
region: eu-central-1
tableName: runs
key:
  id: "{{ inputs.run }}"
""",
    )
    type: Literal["io.kestra.plugin.aws.dynamodb.DeleteItem"]
    key: Property[JsonMap]

    async def run(self, context: RunContext) -> None:
        key = _written(self.key)
        await self.aws(context, "dynamodb", lambda client: client.delete_item(TableName=self.table_name, Key=key))


class Items(Outputs):
    """The items as asked for, and how many."""

    rows: list[dict[str, Any]] | None = None
    row: dict[str, Any] | None = None
    uri: StoredUri | None = None
    size: int


class FindTask(TableTask):
    """Items, page by page."""

    operation: ClassVar[str] = "scan"
    fetch_type: Property[Literal["STORE", "FETCH", "FETCH_ONE", "NONE"]] = "STORE"
    limit: Property[OptionalInteger] = None
    filter_expression: Property[Text | None] = None
    expression_attribute_values: Property[JsonMap | None] = None
    expression_attribute_names: Property[JsonMap | None] = None
    index_name: Property[Text | None] = None

    def asked(self) -> dict[str, Any]:
        """What the service is asked."""
        given = {
            "FilterExpression": self.filter_expression,
            "ExpressionAttributeNames": self.expression_attribute_names or None,
            "IndexName": self.index_name,
        }
        if self.expression_attribute_values:
            given["ExpressionAttributeValues"] = _written(self.expression_attribute_values)
        return {name: value for name, value in given.items() if value is not None}

    async def run(self, context: RunContext) -> Items:
        found = await self.aws(context, "dynamodb", lambda client: list(self._pages(client)))
        context.metric("records", len(found))
        if self.fetch_type == "FETCH":
            return Items(rows=found, size=len(found))
        if self.fetch_type == "FETCH_ONE":
            return Items(row=found[0] if found else None, size=min(len(found), 1))
        if self.fetch_type == "NONE":
            return Items(size=len(found))
        return Items(uri=await filed(context, found, "items.jsonl"), size=len(found))

    def _pages(self, client: Any) -> Iterator[dict[str, Any]]:
        left = 1 if self.fetch_type == "FETCH_ONE" else self.limit
        for page in client.get_paginator(self.operation).paginate(TableName=self.table_name, **self.asked()):
            for item in rest_service.held(page, SERVICE, "Items"):
                if left is not None and left <= 0:
                    return
                left = None if left is None else left - 1
                yield _read(item)


class Query(FindTask):
    """Find the items of a key."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: runs
type: io.kestra.plugin.aws.dynamodb.Query
region: eu-central-1
tableName: runs
keyConditionExpression: id = :id
expressionAttributeValues:
  ":id": "{{ inputs.run }}"
fetchType: FETCH
""",
    )
    operation: ClassVar[str] = "query"
    type: Literal["io.kestra.plugin.aws.dynamodb.Query"]
    key_condition_expression: Property[Text] = Field(description="Such as `id = :id`.")

    def asked(self) -> dict[str, Any]:
        return {**super().asked(), "KeyConditionExpression": self.key_condition_expression}


class Scan(FindTask):
    """Go through all items of a table."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.aws.dynamodb.Scan
region: eu-central-1
tableName: runs
limit: 100
""",
    )
    type: Literal["io.kestra.plugin.aws.dynamodb.Scan"]


def _written(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in the service's typed form."""
    serializer = extra("boto3.dynamodb.types", "aws").TypeSerializer()
    return {str(name): serializer.serialize(_exact(value)) for name, value in item.items()}


def _read(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as flows see it; TaskFailed when a value is in no form of the service's."""
    deserializer = extra("boto3.dynamodb.types", "aws").TypeDeserializer()
    try:
        return {name: json_value(deserializer.deserialize(value)) for name, value in item.items()}
    except (AttributeError, TypeError) as error:
        raise TaskFailed(
            f"{SERVICE} answered with an item that can't be read: {str(error).rstrip('.')}.",
            fix="Check the endpoint: another service may hear there.",
        ) from error


def _exact(value: Any) -> Any:
    """The value with its floating numbers written out exactly: the service takes no others."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {str(name): _exact(one) for name, one in value.items()}
    return [_exact(one) for one in value] if isinstance(value, list) else value
