"""`io.kestra.plugin.serdes.protobuf`: messages of Protocol Buffers."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.conversion import ConversionTask, Converted, Warn
from engine.tasks.extras import extra
from engine.tasks.property_types import Text
from engine.tasks.rows import lines_of

OWN = "google/protobuf/"  # files that every installation of Protocol Buffers has


class ProtobufToIon(ConversionTask):
    """Read messages into a file of rows, as Protocol Buffers write themselves in JSON."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.serdes.protobuf.ProtobufToIon
from: "{{ outputs.download.uri }}"
descriptorFile: "{{ inputs.descriptor }}"
typeName: com.company.Product
delimited: true
""",
    )
    type: Literal["io.kestra.plugin.serdes.protobuf.ProtobufToIon"]
    descriptor_file: Property[Text] = Field(description="What `protoc --include_imports --descriptor_set_out` wrote.")
    type_name: Property[Text]
    delimited: Property[bool] = Field(default=False, description="True: many messages, each with its length before it.")
    error_on_unknown_fields: Property[bool] = False

    async def run(self, context: RunContext) -> Converted:
        file = str(context.files.path(self.descriptor_file))
        return await ConversionTask.run(self.model_copy(update={"descriptor_file": file}), context)

    def convert(self, source: Path, target: Path, warn: Warn) -> int:
        form = extra("google.protobuf.json_format", "protobuf")
        unknown = extra("google.protobuf.unknown_fields", "protobuf").UnknownFieldSet
        problem = extra("google.protobuf.message", "protobuf").DecodeError
        kind, count = self._kind(), 0
        with source.open("rb") as given, target.open("w", encoding="utf-8") as made:
            for data in _messages(given, source.stat().st_size) if self.delimited else iter((given.read(),)):
                message = kind()
                try:
                    message.ParseFromString(data)
                except problem as error:
                    raise TaskFailed(f"Message {count + 1} is no {self.type_name}: {error}.", fix=FIX) from error
                if self.error_on_unknown_fields and (strange := unknown(message)):
                    numbers = sorted({field.field_number for field in strange})
                    raise TaskFailed(f"Message {count + 1} has fields that {self.type_name} does not know: {numbers}.")
                if not message.ListFields() and not self.delimited:
                    break
                try:
                    told = form.MessageToDict(message, descriptor_pool=kind.DESCRIPTOR.file.pool)
                except (TypeError, form.Error) as error:  # it holds one (`Any`) of a type that nobody describes
                    raise TaskFailed(f"Message {count + 1} can't be told: {error}.", fix=FIX) from error
                made.writelines(lines_of([told]))
                count += 1
        return count

    def _kind(self) -> Any:
        """The class of the messages; TaskFailed when the descriptor does not tell of it."""
        descriptor = extra("google.protobuf.descriptor_pb2", "protobuf")
        pool = extra("google.protobuf.descriptor_pool", "protobuf").DescriptorPool()
        problem = extra("google.protobuf.message", "protobuf").DecodeError
        try:
            told = descriptor.FileDescriptorSet.FromString(Path(self.descriptor_file).read_bytes())
            given = {file.name for file in told.file}
            for name in sorted({one for file in told.file for one in file.dependency} - given):
                if name.startswith(OWN):
                    stem = name.removeprefix(OWN).removesuffix(".proto")
                    own = importlib.import_module(f"google.protobuf.{stem}_pb2")
                    pool.AddSerializedFile(own.DESCRIPTOR.serialized_pb)
            for file in told.file:
                pool.Add(file)
            found = pool.FindMessageTypeByName(self.type_name)
        except (problem, TypeError, ImportError) as error:
            raise TaskFailed(f"`descriptorFile` can't be read: {error}.", fix=FIX) from error
        except KeyError as error:
            raise TaskFailed(f"The descriptor has no message {self.type_name!r}.", fix=FIX) from error
        return extra("google.protobuf.message_factory", "protobuf").GetMessageClass(found)


FIX = "Make it with `protoc --include_imports --descriptor_set_out=FILE`, and name the message with its package."


def _messages(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Messages that have their length before them; TaskFailed when the last one is cut off."""
    while (length := _length(file)) is not None:
        data = file.read(length) if length <= size else b""
        if len(data) < length:
            raise TaskFailed("The last message is cut off.", fix="Is it a file of messages with their lengths?")
        yield data


def _length(file: BinaryIO) -> int | None:
    """A number in the variable length of Protocol Buffers; None at the end of the file."""
    length = 0
    for shift in range(0, 35, 7):
        byte = file.read(1)
        if not byte:
            if shift:
                raise TaskFailed("The last message is cut off.", fix="Is it a file of messages with their lengths?")
            return None
        length |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return length
    raise TaskFailed("A message has no length.", fix="Leave out `delimited`.")
