"""Objects copied inside S3: from where, to where, and what became of them."""

from pydantic import Field

from engine.plugin import Outputs, Part, Property
from engine.tasks.property_types import OptionalText, Text


class Place(Part):
    """An object."""

    bucket: Property[Text]
    key: Property[OptionalText] = None
    version_id: Property[OptionalText] = None
    server_side_encryption: Property[OptionalText] = Field(default=None, description="How a new object is kept.")
    kms_key_id: Property[OptionalText] = Field(default=None, description="With which key a new object is kept.")


class Copied(Outputs):
    """The new object."""

    bucket: str
    key: str
    eTag: str | None = None  # noqa: N815 - appears as written
