"""Inputs: what a flow asks for, as typed models, and how given values become typed ones.

`Flow.inputs` and `Pause.on_resume` hold `Input` models; `resolve` types what was given and names every problem at once;
`coerce_outputs` types what a flow hands on, with the same code.
"""

from engine.core.inputs.by_type import INPUT_TYPES, AnyInput
from engine.core.inputs.declaration import DependsOn, Input, InputRefused
from engine.core.inputs.groups import FormInput, Inputs, ObjectInput, TableInput
from engine.core.inputs.outputs import FlowOutput, coerce_outputs, secrets_of
from engine.core.inputs.resolution import RenderFn, Resolved, nest, resolve, standing_defaults, unasked
from engine.core.inputs.texts import EmailInput, FileInput, SecretInput, StringInput, UriInput
from engine.core.inputs.types import (
    ArrayInput,
    BooleanInput,
    DateInput,
    DateTimeInput,
    DurationInput,
    EnumInput,
    FloatInput,
    IntInput,
    IonInput,
    JsonInput,
    MultiselectInput,
    SelectInput,
    TimeInput,
    YamlInput,
)

__all__ = [
    "INPUT_TYPES",
    "AnyInput",
    "ArrayInput",
    "BooleanInput",
    "DateInput",
    "DateTimeInput",
    "DependsOn",
    "DurationInput",
    "EmailInput",
    "EnumInput",
    "FileInput",
    "FloatInput",
    "FlowOutput",
    "FormInput",
    "Input",
    "InputRefused",
    "Inputs",
    "IntInput",
    "IonInput",
    "JsonInput",
    "MultiselectInput",
    "ObjectInput",
    "RenderFn",
    "Resolved",
    "SecretInput",
    "SelectInput",
    "StringInput",
    "TableInput",
    "TimeInput",
    "UriInput",
    "YamlInput",
    "coerce_outputs",
    "nest",
    "resolve",
    "secrets_of",
    "standing_defaults",
    "unasked",
]
