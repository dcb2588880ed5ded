"""Settings of the engine: environment, `.env` and one `parley.yaml`, as one frozen value."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from engine.core.durations import parse as parse_duration


class Section(BaseModel):
    """Base of a section of parley.yaml; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Provider(Section):
    """Where a service is reached instead of its public address, and how long to wait for it."""

    base_url: str | None = None
    timeout: float = 120.0


class DockerSettings(Section):
    """How script containers are run."""

    host: str | None = None
    network: str | None = None
    volumes: bool = Field(default=False, description="Whether flows may mount host folders.")
    volume_prefixes: tuple[str, ...] = ()
    privileged: bool = Field(default=False, description="Whether flows may run privileged containers.")
    fallback: Literal["fail", "process"] = "fail"
    pull_timeout: float = 300.0


class HttpSettings(Section):
    """Bounds on what flows may call."""

    max_body: int = Field(
        default=10 * 1024 * 1024, ge=1, description="Bytes of an answer that a task reads; a longer one fails it."
    )
    deny_metadata: bool = Field(default=True, description="Refuse link-local addresses (cloud metadata services).")


class ScriptSettings(Section):
    """How shell text is kept safe."""

    escape: Literal["quoted", "off"] = "quoted"
    max_output: int = Field(
        default=10 * 1024 * 1024,
        ge=1,
        description="Characters of a script's output that are kept in the log; the rest is left out, and a line says "
        "so.",
    )


class GitSettings(Section):
    """What repositories flows may reach."""

    protocols: tuple[str, ...] = Field(default=("https", "http", "ssh"), description="Add `file` for local folders.")


class LocalFileSettings(Section):
    """What of this machine's files flows may use."""

    allowed_paths: tuple[Path, ...] = Field(
        default=(), description="Folders that the tasks of `fs.local` and `fs.nfs` may read and write; none else."
    )

    @field_validator("allowed_paths", mode="after")
    @classmethod
    def _whole(cls, folders: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(folder.absolute() for folder in folders)


class TracingSettings(Section):
    """Where spans of executions and tasks go; OpenTelemetry's own variables (OTEL_…) hold too."""

    endpoint: str | None = Field(default=None, description="A collector's address (OTLP over HTTP).")
    service: str = Field(default="parley", description="The name of this set-up among others.")


class AuditSettings(Section):
    """What signs the record of deeds; see /docs/audit."""

    key: SecretStr | None = Field(
        default=None,
        description="The private key itself; several with commas, newest first (`parley audit key --new`).",
    )
    key_file: Path | None = Field(default=None, description="Where it lies, if not as `audit.key` in the data folder.")
    trusted: tuple[str, ...] = Field(
        default=(), description="Public keys of other bots on the same database that sign with keys of their own."
    )
    seal_every: float = Field(default=10.0, gt=0, description="Seconds until what was recorded is signed.")

    @field_validator("key_file", mode="after")
    @classmethod
    def _absolute(cls, file: Path | None) -> Path | None:
        return None if file is None else file.absolute()


class Limits(Section):
    """Bounds that keep one flow from stopping the others."""

    workers: int = Field(default=32, ge=1, description="Task attempts running at once; the others wait their turn.")
    workers_per_flow: int = Field(
        default=24,
        ge=1,
        description="Of these of one flow, so that a flow whose tasks hang leaves room for others; with several "
        "machines in each process.",
    )
    output_bytes: int = Field(
        default=1024 * 1024,
        ge=1,
        description="Outputs of one task run; beyond it the task fails. Files are not counted.",
    )
    log_lines_per_task: int = Field(
        default=100_000, ge=1, description="Log lines of one attempt; the rest is left out, and a line says so."
    )
    foreach_values: int = Field(
        default=10_000, ge=1, description="Values of a ForEach or Loop; with more of them the task fails."
    )
    subflow_depth: int = Field(default=64, ge=1, description="How deep flows may call flows; a deeper call fails.")
    loop_iterations: int = Field(
        default=100_000, ge=1, description="Iterations of a LoopUntil that has no limit of its own; then it fails."
    )


class Settings(BaseSettings):
    """Everything an operator may say about the engine. See `bot/docs/settings.md`."""

    model_config = SettingsConfigDict(
        env_prefix="PARLEY_",
        env_nested_delimiter="__",
        env_file=".env",
        yaml_file="parley.yaml",
        extra="ignore",
        frozen=True,
    )

    data: Path = Path(".parley")
    flows: tuple[Path, ...] = (Path("flows"),)
    database: str | None = Field(default=None, description="A file, or postgresql://… for several processes.")
    role: Literal["all", "bot", "worker", "scheduler"] = Field(default="all", description="What this process does.")
    worker_groups: tuple[str, ...] = Field(default=(), description="Groups whose tasks it runs, and no others.")
    storage: str | None = Field(default=None, description="Where files lie: file:///folder or s3://bucket/prefix.")
    storage_endpoint: str | None = Field(default=None, description="Of a bucket that is not Amazon's: its address.")
    heartbeat: float = Field(default=5.0, gt=0, description="Seconds between two signs of life of a worker.")
    timezone: str = "UTC"
    public_url: str | None = Field(default=None, description="Where people reach the page; links in chat go there.")
    encryption_key: str | None = None
    secrets_dir: Path | None = None

    # openai, gemini, deepseek, ollama, google_calendar, slack …
    providers: dict[str, Provider] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    images: dict[str, str] = Field(default_factory=dict)
    urls: dict[str, str] = Field(default_factory=dict)  # prefix → prefix
    webhooks: dict[str, str] = Field(default_factory=dict)  # URL → "slack:#channel" | "discord:<id>" | URL
    plugin_defaults: tuple[dict[str, Any], ...] = ()
    webhook_get: bool = Field(default=False, description="`webhooks.get`: GET may start a flow by its Webhook trigger.")
    variables: dict[str, Any] = Field(default_factory=dict)  # `globals` in expressions

    retention: dict[str, str] = Field(default_factory=dict, description="Namespace (or `*`) → how long, as P30D.")

    docker: DockerSettings = DockerSettings()
    http: HttpSettings = HttpSettings()
    scripts: ScriptSettings = ScriptSettings()
    git: GitSettings = GitSettings()
    local_files: LocalFileSettings = LocalFileSettings()
    limits: Limits = Limits()
    tracing: TracingSettings = TracingSettings()
    audit: AuditSettings = AuditSettings()

    @model_validator(mode="before")
    @classmethod
    def _webhook_get(cls, said: Any) -> Any:
        """`webhooks.get` stands among the aliases, which are addresses."""
        table = said.get("webhooks") if isinstance(said, dict) else None
        if isinstance(table, dict) and "get" in table:
            aliases = {address: place for address, place in table.items() if address != "get"}
            return {**said, "webhooks": aliases, "webhook_get": table["get"]}
        return said

    @field_validator("retention", mode="after")
    @classmethod
    def _durations(cls, rules: dict[str, str]) -> dict[str, str]:
        for namespace, text in rules.items():
            try:
                if parse_duration(text) <= timedelta(0):
                    raise ValueError(f"{text!r} is no time to keep anything; write it as `P30D`.")
            except ValueError as error:
                raise ValueError(f"of {namespace}, {error}") from error
        return rules

    @field_validator("data", "secrets_dir", mode="after")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        """Tasks run in folders of their own, where a relative path would mean something else."""
        return None if folder is None else folder.absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over `.env`, `.env` over parley.yaml."""
        return init_settings, env_settings, dotenv_settings, YamlConfigSettingsSource(settings_cls)

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """Where this installation itself answers."""
        return (self.public_url,) if self.public_url else ()

    @property
    def has_flows(self) -> bool:
        """Whether this process takes in the flows of its folders; the others know them from the database."""
        return self.role in ("all", "bot")

    def without_flows(self) -> "Settings":
        """The same settings without folders of flows."""
        return self.model_copy(update={"flows": ()})

    def provider(self, name: str) -> Provider:
        """Settings of one service; defaults when nothing was said."""
        return self.providers.get(name, Provider())
