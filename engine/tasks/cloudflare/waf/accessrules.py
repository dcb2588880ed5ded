"""`io.kestra.plugin.cloudflare.waf.accessrules`: addresses, networks and countries that are let in, or are not."""

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BeforeValidator

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.cloudflare_service import SERVICE, CloudflareAccount, CloudflareConnected
from engine.tasks.property_types import OptionalText, Text

RULES = "firewall/access_rules/rules"


def _lowered(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Mode = Annotated[
    Literal["block", "challenge", "whitelist", "js_challenge", "managed_challenge"], BeforeValidator(_lowered)
]
Target = Annotated[Literal["ip", "ip_range", "asn", "country"], BeforeValidator(_lowered)]


class ScopedTask(CloudflareAccount, RunnableTask):
    """Where a rule holds: in a zone, or in all of an account."""

    zone_id: Property[OptionalText] = None
    account_id: Property[OptionalText] = None

    @property
    def rules(self) -> str:
        """The path of the rules; TaskFailed when it is not said whose."""
        zone, account = (self.zone_id or "").strip(), (self.account_id or "").strip()
        if bool(zone) == bool(account):
            raise TaskFailed("Either `zoneId` or `accountId` says where the rule holds.", fix="Give one of the two.")
        return f"zones/{quote(zone, safe='')}/{RULES}" if zone else f"accounts/{quote(account, safe='')}/{RULES}"


class Rule(Outputs):
    """The rule as it is now."""

    ruleId: str  # noqa: N815 - appears as written
    mode: str | None = None
    target: str | None = None
    value: str | None = None


class Create(ScopedTask):
    """Block an address, a network, a provider or a country, let it in, or ask who comes from it to prove himself."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: block
type: io.kestra.plugin.cloudflare.waf.accessrules.Create
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
mode: block
target: ip
value: "{{ inputs.address }}"
notes: "Asked for by {{ labels.person ?? 'a flow' }}"
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.waf.accessrules.Create", "io.kestra.plugin.cloudflare.waf.Create"]
    mode: Property[Mode]
    target: Property[Target]
    value: Property[Text]
    notes: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Rule:
        wanted: dict[str, Any] = {"mode": self.mode, "configuration": {"target": self.target, "value": self.value}}
        wanted |= {"notes": self.notes} if (self.notes or "").strip() else {}
        made = rest_service.mapped(await self.result(context, "POST", self.rules, json=wanted), SERVICE)
        if not made.get("id"):
            raise TaskFailed("Cloudflare answered without a rule.", fix="Check `baseUrl`.")
        about = rest_service.mapped(made.get("configuration"), SERVICE)
        return Rule(ruleId=str(made["id"]), mode=made.get("mode"), target=about.get("target"), value=about.get("value"))


class Rules(Outputs):
    """The rules: of each its `id`, `mode` and `configuration` with `target` and `value`."""

    rules: list[dict[str, Any]]


class List(CloudflareConnected, RunnableTask):
    """All rules of a zone."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rules
type: io.kestra.plugin.cloudflare.waf.accessrules.List
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.waf.accessrules.List", "io.kestra.plugin.cloudflare.waf.List"]

    async def run(self, context: RunContext) -> Rules:
        found = await self.results(context, self.below(RULES))
        return Rules(rules=[{key: one.get(key) for key in ("id", "mode", "configuration")} for one in found])


class Deleted(Outputs):
    """The rule that is gone."""

    ruleId: str  # noqa: N815
    deleted: bool = True


class Delete(ScopedTask):
    """Take a rule away."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: let_in
type: io.kestra.plugin.cloudflare.waf.accessrules.Delete
apiToken: "{{ secret('CLOUDFLARE_TOKEN') }}"
zoneId: 023e105f4ecef8ad9ca31a8372d0c353
ruleId: "{{ outputs.block.ruleId }}"
""",
    )
    type: Literal["io.kestra.plugin.cloudflare.waf.accessrules.Delete", "io.kestra.plugin.cloudflare.waf.Delete"]
    rule_id: Property[Text]

    async def run(self, context: RunContext) -> Deleted:
        rule = self.rule_id.strip()
        if not rule:
            raise TaskFailed("It is not said which rule.", fix="Give `ruleId`.")
        await self.result(context, "DELETE", f"{self.rules}/{quote(rule, safe='')}")
        return Deleted(ruleId=rule)
