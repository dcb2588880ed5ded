"""`io.kestra.plugin.aws.cli`: the command line of Amazon's cloud."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks.aws.connection import Credentials
from engine.tasks.scripts.script_task import CommandsTask, ScriptResult, quoted

# What `aws` must not see so that it asks where `stsCredentialSource` says; it asks in this order.
ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
HIDDEN: dict[str, tuple[str, ...]] = {
    "ENVIRONMENT": (),
    "ECS_CONTAINER": ENVIRONMENT,
    "EC2_INSTANCE_METADATA": (*ENVIRONMENT, *CONTAINER),
}
NO_FILES = ("AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
ROLE_QUERY = "Credentials.[AccessKeyId,SecretAccessKey,SessionToken]"


class AwsCLI(Credentials, CommandsTask):
    """Run commands of `aws`; the credentials are in their environment."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: buckets
type: io.kestra.plugin.aws.cli.AwsCLI
accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
secretKeyId: "{{ secret('AWS_SECRET_ACCESS_KEY') }}"
region: eu-central-1
commands:
  - aws s3 ls > buckets.txt
outputFiles:
  - buckets.txt
""",
    )
    default_image: ClassVar[str] = "amazon/aws-cli"
    type: Literal["io.kestra.plugin.aws.cli.AwsCLI"]
    output_format: Property[Literal["JSON", "TABLE", "TEXT", "YAML", "json", "table", "text", "yaml"]] = "JSON"
    sts_credential_source: Property[Literal["ENVIRONMENT", "EC2_INSTANCE_METADATA", "ECS_CONTAINER"] | None] = Field(
        default=None, description="Whose credentials take on the role `stsRoleArn`; the first that are found otherwise."
    )

    def variables(self) -> dict[str, str]:
        found = {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_key_id,
            "AWS_SESSION_TOKEN": self.session_token,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_override,
            "AWS_ENDPOINT_URL_STS": self.sts_endpoint_override,
            "AWS_DEFAULT_OUTPUT": self.output_format.lower(),
            "AWS_PAGER": "",
        }
        return {name: value for name, value in found.items() if value is not None}

    async def run(self, context: RunContext) -> ScriptResult:
        self.hide(context)
        lines = [*self._assumed(context), *await self.rendered_lines(context, self.commands)]
        return await self.run_commands(context, lines, env=self.variables())

    def _assumed(self, context: RunContext) -> list[str]:
        """Commands that take on the role, if one is named."""
        if not self.sts_role_arn:
            return []
        name = self.sts_role_session_name or f"parley-{context.execution_id}"
        hidden = HIDDEN[self.sts_credential_source or "ENVIRONMENT"]
        asks = ["env", *(word for name in hidden for word in ("-u", name)), *NO_FILES] if hidden else []
        call = [*asks, "aws", "sts", "assume-role", "--role-arn", self.sts_role_arn, "--role-session-name", name]
        if self.sts_role_external_id:
            call += ["--external-id", self.sts_role_external_id]
        if "sts_role_session_duration" in self.model_fields_set:
            call += ["--duration-seconds", str(round(self.sts_role_session_duration.total_seconds()))]
        call += ["--output", "text", "--query", ROLE_QUERY]
        return [
            f"assumed=$({quoted(call)}) || exit 1",
            "set -- $assumed",
            "export AWS_ACCESS_KEY_ID=$1 AWS_SECRET_ACCESS_KEY=$2 AWS_SESSION_TOKEN=$3",
            "unset assumed; set --",
        ]
