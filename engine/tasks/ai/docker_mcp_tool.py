"""MCP servers that run in a container, as tools of an agent."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks.ai import container_bridge, mcp_session
from engine.tasks.ai.tool import McpTool
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.runners import Job
from engine.tasks.scripts.runner.docker import Credentials, Docker

CERTIFICATES = ("DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


class DockerMcpClient(McpTool):
    """Use the tools of an MCP server that runs in a container, which goes with the task."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.tool.DockerMcpClient
image: mcp/time
env:
  LOCAL_TIMEZONE: Europe/Berlin
""",
    )
    type: Literal["io.kestra.plugin.ai.tool.DockerMcpClient"]
    image: Property[Text]
    command: Property[TextList] = Field(default_factory=list)
    env: Property[dict[str, Text]] = Field(default_factory=dict)
    binds: Property[TextList | None] = Field(default=None, description="Volumes, as far as the operator allows them.")
    log_events: Property[bool] = Field(default=False, description="Log what the server writes to its error output.")
    docker_host: Property[OptionalText] = None
    docker_config: Property[Any] = None
    docker_context: Any = None
    docker_cert_path: Any = None
    docker_tls_verify: Any = None
    registry_email: Any = None
    registry_password: Property[OptionalText] = None
    registry_username: Property[OptionalText] = None
    registry_url: Property[OptionalText] = None
    api_version: Any = None

    def session(self, context: RunContext) -> AbstractAsyncContextManager[mcp_session.Session]:
        return self._contained(context)

    @asynccontextmanager
    async def _contained(self, context: RunContext) -> AsyncIterator[mcp_session.Session]:
        if self.registry_password:
            context.mask(self.registry_password)
        who = {"registry": self.registry_url, "username": self.registry_username, "password": self.registry_password}
        runner = Docker(
            type=Docker.type_names()[0],
            host=self.docker_host,
            config=self.docker_config,
            credentials=Credentials(**who) if self.registry_username else None,
            volumes=self.binds,
            entry_point=[],
        )
        job = Job(self.command, context.working_dir, self.env, lambda _, __: None, image=self.image)
        limit = self.timeout.total_seconds()
        async with runner.held(job, context, stdin_open=True, working_dir=None) as container:
            own = {name: os.environ[name] for name in CERTIFICATES if name in os.environ}
            host = self.docker_host or context.settings.docker.host or os.environ.get("DOCKER_HOST")
            env = {**own, "DOCKER_HOST": host} if host else own
            bridge = [sys.executable, container_bridge.__file__, str(container.id)]
            opened = mcp_session.local(context, bridge, env, limit, told=self.log_events, name=self.image)
            async with opened as session:
                yield session
