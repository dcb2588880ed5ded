"""Datasets of BigQuery: what they are to be, and what is told of them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask
from engine.tasks.bigquery_definitions import Encryption
from engine.tasks.bigquery_jobs import BigQueryConnected
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, document_from_text, scalar_to_text
from engine.tasks.rest_service import held, present

NAMED = {"USER": "userByEmail", "GROUP": "groupByEmail", "DOMAIN": "domain", "IAM_MEMBER": "iamMember"}


class Dataset(Outputs):
    """A dataset as Google has it now."""

    dataset: str
    project: str
    friendlyName: str | None = None  # noqa: N815 - appears as written
    description: str | None = None
    location: str | None = None


class Entity(Part):
    """Somebody, or several."""

    type: Literal["USER", "GROUP", "DOMAIN", "IAM_MEMBER"]
    value: Text


class Access(Part):
    """What somebody may do with a dataset."""

    entity: Entity
    role: Literal["READER", "WRITER", "OWNER"]

    def told(self) -> dict[str, str]:
        """The same in Google's JSON."""
        return {"role": self.role, NAMED[self.entity.type]: self.entity.value}


class DatasetTask(BigQueryConnected, RunnableTask):
    """A dataset, and what it is to be."""

    name: Property[Text]
    acl: Property[Annotated[list[Access], BeforeValidator(document_from_text)] | None] = None
    default_table_lifetime: Property[OptionalInteger] = None
    default_partition_expiration_ms: Property[OptionalInteger] = None
    default_encryption_configuration: Property[Encryption | None] = None
    friendly_name: Property[OptionalText] = None
    labels: Property[JsonMap | None] = None

    def told(self, context: RunContext) -> dict[str, Any]:
        """The dataset in Google's JSON, without what is not said."""
        key, life = self.default_encryption_configuration, self.default_table_lifetime
        partitions = self.default_partition_expiration_ms
        return present(
            datasetReference={"projectId": self.project(context), "datasetId": self.name},
            location=self.location,
            friendlyName=self.friendly_name,
            description=self.description,
            labels={name: str(scalar_to_text(value)) for name, value in self.labels.items()} if self.labels else None,
            access=[one.told() for one in self.acl] if self.acl is not None else None,
            defaultTableExpirationMs=str(life) if life is not None else None,
            defaultPartitionExpirationMs=str(partitions) if partitions is not None else None,
            defaultEncryptionConfiguration=key.told() if key else None,
        )

    async def dataset(
        self, context: RunContext, method: Literal["GET", "POST", "PATCH"], body: Any = None
    ) -> dict[str, Any]:
        """What Google says of it: asked for, made or changed; TaskFailed when it refuses."""
        path = f"projects/{self.project(context)}/datasets{'' if method == 'POST' else f'/{self.name}'}"
        given = {} if body is None else {"json": body}
        return await self.gcp(context, method, path, **given)


def seen(told: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset in Google's JSON as a flow sees it."""
    names = ("friendlyName", "description", "location")
    dataset, project = (held(told, "Google Cloud", "datasetReference", part) for part in ("datasetId", "projectId"))
    return {"dataset": dataset, "project": project, **{name: told.get(name) for name in names}}
