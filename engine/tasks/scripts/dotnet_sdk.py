"""What scripts in C# and in F# share: the image of .NET's SDK, and what their triggers know more than others."""

from typing import Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.scripts.script_trigger import WatchFields

IMAGE = "mcr.microsoft.com/dotnet/sdk:10.0"


class SdkFields(WatchFields):
    """Where it runs, on which system, and what the flow waits for."""

    target_os: Property[Literal["LINUX", "WINDOWS", "AUTO"]] = Field(default="AUTO", alias="targetOS")
