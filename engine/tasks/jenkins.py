"""`io.kestra.plugin.jenkins`: builds of Jenkins."""

from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import AliasChoices, Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.http_options import DEFAULT, Auth, HttpOptions
from engine.tasks.outbound import Answer
from engine.tasks.property_types import JsonMap, OptionalText, Text, scalar_to_text


class JenkinsTask(RunnableTask):
    """Where Jenkins is, and who we are there."""

    server_url: Property[Text] = Field(validation_alias=AliasChoices("serverUrl", "serverUri"))
    username: Property[OptionalText] = None
    api_token: Property[OptionalText] = None
    options: Property[HttpOptions | None] = None
    job_name: Property[Text]

    async def jenkins(self, context: RunContext, method: str, path: str, **given: Any) -> Answer:
        """The answer of one call about the job; TaskFailed when Jenkins refuses."""
        options = self.options or DEFAULT
        if self.api_token:
            context.mask(self.api_token)
        if self.username:
            options = options.model_copy(
                update={"auth": Auth(type="BASIC", username=self.username, password=self.api_token)}
            )
        steps = "/".join(f"job/{quote(step, safe='')}" for step in self.job_name.strip("/").split("/"))
        url = f"{self.server_url.rstrip('/')}/{steps}/{path}"
        return await rest_service.call(context, "Jenkins", method, url, options=options, **given)


class Queued(Outputs):
    """What Jenkins answered, and where the build waits in its queue."""

    status: int
    queueUrl: str | None = None  # noqa: N815 - appears as written


class JobBuild(JenkinsTask):
    """Start a build of a job."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: deploy
type: io.kestra.plugin.jenkins.JobBuild
serverUrl: https://jenkins.example.com
username: deployer
apiToken: "{{ secret('JENKINS_TOKEN') }}"
jobName: team/deploy
parameters:
  branch: main
""",
    )
    type: Literal["io.kestra.plugin.jenkins.JobBuild"]
    parameters: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Queued:
        form = {
            str(name): [scalar_to_text(item) for item in value] if isinstance(value, list) else scalar_to_text(value)
            for name, value in (self.parameters or {}).items()
        }
        path = "buildWithParameters" if form else "build"
        answer = await self.jenkins(context, "POST", path, data=form)
        return Queued(status=answer.code, queueUrl=answer.headers.get("location"))


class Build(Outputs):
    """The job as Jenkins tells it."""

    jobName: str  # noqa: N815 - appears as written
    url: str | None
    buildNumber: int | None  # noqa: N815
    result: str | None
    building: bool
    info: dict[str, Any]


class JobInfo(JenkinsTask):
    """Read about a job or one of its builds (the last one unless another is named)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: last
type: io.kestra.plugin.jenkins.JobInfo
serverUrl: https://jenkins.example.com
username: deployer
apiToken: "{{ secret('JENKINS_TOKEN') }}"
jobName: team/deploy
""",
    )
    type: Literal["io.kestra.plugin.jenkins.JobInfo"]
    build_number: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Build:
        path = f"{self.build_number or 'lastBuild'}/api/json"
        found = rest_service.mapped(rest_service.parsed(await self.jenkins(context, "GET", path), "Jenkins"), "Jenkins")
        return Build(
            jobName=self.job_name,
            url=found.get("url"),
            buildNumber=found.get("number"),
            result=found.get("result"),
            building=bool(found.get("building")),
            info=found,
        )
