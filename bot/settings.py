"""Settings of the whole bot: those of the engine, and where it listens and speaks."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator

from bot.approvals.policy import ApprovalRule
from bot.approvals.prices import NO_PRICES, Prices
from bot.chat_settings import ChatSettings
from bot.explaining.section import ExplainSection
from bot.people.accounts import PeopleSection
from bot.people.roles import Role
from engine.core import yaml_text
from engine.errors import FlowInvalid, SettingInvalid
from engine.settings import Section, Settings

SHIPPED = Path(__file__).parent / "flows"


class WebSection(Section):
    """The page. Beyond loopback it needs `token` or `tokens` (a name for each)."""

    host: str = "127.0.0.1"
    port: int = Field(default=8082, ge=0, le=65535)
    worker_port: int | None = Field(default=None, ge=0, le=65535, description="Of a worker's health and numbers.")
    public_url: str | None = None
    token: SecretStr | None = None
    tokens: dict[str, SecretStr] = Field(default_factory=dict)

    def all_tokens(self) -> dict[str, str]:
        """Every token by the name it stands for."""
        named = {name: token.get_secret_value() for name, token in self.tokens.items()}
        return named | ({"web": self.token.get_secret_value()} if self.token else {})


class LogSection(Section):
    """The log on stderr. `auto`: text on a terminal, JSON otherwise."""

    format: Literal["auto", "json", "text"] = "auto"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="WARNING", description="Of libraries, engine.")


class BotSettings(Settings):
    """Everything an operator may say, from the environment, `.env` and parley.yaml."""

    slack_bot_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("SLACK_BOT_TOKEN", "slack_bot_token")
    )
    slack_app_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("SLACK_APP_TOKEN", "slack_app_token")
    )
    slack_signing_secret: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("SLACK_SIGNING_SECRET", "slack_signing_secret")
    )
    slack_connections: int = Field(default=2, ge=1, le=10, description="Connections of Socket Mode; Slack allows 10.")
    slack_base_url: str = "https://slack.com/api/"
    discord_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("DISCORD_TOKEN", "discord_token")
    )
    discord_base_url: str | None = None
    discord_gateway_url: str | None = None
    web: WebSection = WebSection()
    log: LogSection = LogSection()
    chat: ChatSettings = ChatSettings()
    approvals: tuple[ApprovalRule, ...] = Field(default=(), description="Who decides what; see /docs/approvals.")
    prices: Prices = Field(default=NO_PRICES, description="What models and tasks cost; see /docs/approvals.")
    people: PeopleSection = Field(default=PeopleSection(), description="Who is who; see /docs/people.")
    roles: tuple[Role, ...] = Field(default=(), description="Who may do what; see /docs/people.")
    explain: ExplainSection | None = Field(
        default=None, description="The model that explains failed runs; see /docs/explaining."
    )

    @field_validator("slack_bot_token", "slack_app_token", "slack_signing_secret", "discord_token")
    @classmethod
    def _is_copied_whole(cls, token: SecretStr | None) -> SecretStr | None:
        """What a terminal, a phone or a file for containers adds to a token is no part of it."""
        text = token.get_secret_value().strip() if token is not None else ""
        if not text:
            return None
        if not re.fullmatch(r"[!#-&(-~]+", text):
            raise ValueError("it holds a quote, a blank or another character that no token has; copy it without")
        return SecretStr(text)

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """Where this installation itself answers: for people, and on its own machine."""
        return (*super().own_addresses, *(f"http://{host}:{self.web.port}" for host in ("localhost", "127.0.0.1")))


def read_settings(**given: object) -> BotSettings:
    """The settings, with what was given on the command line on top; SettingInvalid names the setting that is wrong."""
    try:
        settings = BotSettings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingInvalid(
            _line(error) + _wrong(error), fix="See /docs/settings, or bot/docs/settings.md."
        ) from error
    public = settings.web.public_url or settings.chat.public_url or settings.public_url
    chat = settings.chat.model_copy(update={"public_url": public})
    return settings.model_copy(update={"public_url": public, "chat": chat})


def _line(error: ValidationError) -> str:
    """`parley.yaml:12: `, where the first wrong setting was written there; "" for one that came from elsewhere."""
    first, file = error.errors()[0], Path(str(BotSettings.model_config["yaml_file"]))
    try:
        document = yaml_text.read(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, FlowInvalid):
        return ""
    written: Any = document
    for step in first["loc"]:
        is_there = isinstance(step, int) and isinstance(written, list) and step < len(written)
        if not is_there and not (isinstance(written, dict) and step in written):
            break
        written = written[step]
    is_from_here = written is not document and yaml_text.plain(written) == first["input"]
    return f"{file}:{yaml_text.locate(document, first['loc']).line}: " if is_from_here else ""


def _wrong(error: ValidationError) -> str:
    """What is wrong with the first wrong setting; entries of a list count from 1."""
    first = error.errors()[0]
    where = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
    if first["type"] == "extra_forbidden":
        parent, _, key = where.rpartition(".")
        return f"The setting {parent} has no key `{key}`. Check its spelling."
    return f"The setting {where} is wrong: {first['msg'].removeprefix('Value error, ')}."


def shipped_flows(folder: str) -> Path:
    """A folder of the flows that come with Parley: `demo`, `tour` or `examples`."""
    packed = SHIPPED / folder
    return packed if packed.is_dir() else Path(__file__).parent.parent / "flows" / folder
