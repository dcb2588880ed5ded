"""What an operator says about explanations: the `explain` section of parley.yaml. Without it there are none."""

from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import Field, model_validator

from engine.settings import Section


class ExplainSection(Section):
    """Which model is asked why a run failed, how often, and about which flows it is not."""

    provider: Literal["openai", "google-genai", "ollama"] = Field(
        description="Whose API is spoken; `openai` with `base_url` is that of any server that speaks it."
    )
    model: str = Field(min_length=1)
    base_url: str | None = Field(default=None, description="Where it is reached instead of its public address.")
    key: str | None = Field(
        default=None,
        min_length=1,
        description="The name of a secret, as `secret()` finds it, or of a variable of the environment.",
    )
    language: str = Field(default="English", min_length=1, max_length=60, description="In which it answers.")
    max_tokens: int = Field(default=1000, ge=16, le=32_000, description="Of an answer.")
    max_input: int = Field(default=12_000, ge=1000, le=200_000, description="Characters that a model is told at most.")
    timeout: float = Field(default=60.0, gt=0, le=600, description="Seconds to wait for an answer.")
    per_person: int = Field(default=10, ge=1, description="Questions of one person in an hour.")
    in_total: int = Field(default=60, ge=1, description="Questions of everybody in an hour.")
    leave_out: tuple[str, ...] = Field(
        default=(), description="Globs on `namespace/flow`: nothing of these is ever sent to a model."
    )

    @model_validator(mode="after")
    def _ollama_has_no_key(self) -> Self:
        if self.provider == "ollama" and self.key is not None:
            raise ValueError("ollama takes no key: leave `key` out")
        return self

    def covers(self, flow: str) -> bool:
        """Whether failures of a flow may be told to the model."""
        return not any(fnmatchcase(flow, glob) for glob in self.leave_out)
