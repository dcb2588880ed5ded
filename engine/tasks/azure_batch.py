"""Azure Batch over its REST API: who asks, one signed call, and lists page by page."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from engine.plugin import Part, Property, RunContext, TaskFailed
from engine.tasks import rest_service
from engine.tasks.pages import Pages
from engine.tasks.property_types import Text

VERSION = {"api-version": "2023-05-01.17.0"}
JSON = "application/json; odata=minimalmetadata"


class BatchConnected(Part):
    """Which account of Azure Batch, and its key."""

    endpoint: Property[Text]
    account: Property[Text]
    access_key: Property[Text]

    async def ask(
        self, context: RunContext, method: str, path: str, body: Any = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON of one call; TaskFailed when Azure refuses."""
        return await self._called(context, method, self.address(path, params), body)

    async def rows(
        self, context: RunContext, path: str, params: Mapping[str, str]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """All that a list holds, page after page; TaskFailed."""
        url = self.address(path, params)
        pages = Pages("Azure Batch", url)
        while url:
            told = await self._called(context, "GET", url)
            for row in rest_service.listed(told, "Azure Batch", "value"):
                yield row
            url = pages.after(told.get("odata.nextLink"))
            if url and urlsplit(url).netloc != urlsplit(self.endpoint).netloc:
                raise TaskFailed(
                    f"Azure Batch says that its list goes on elsewhere: {url}.",
                    fix="Check `endpoint`: the key is not sent to another host.",
                )

    async def file(self, context: RunContext, path: str, target: Path, of: str) -> None:
        """Write a file of a task's into `target`; TaskFailed when there is none."""
        url = self.address(path)
        await rest_service.downloaded(
            context, "Azure Batch", url, target, of=of, headers=self._headers(context, "GET", url)
        )

    def address(self, path: str, params: Mapping[str, str] | None = None) -> str:
        """Where something of the account is."""
        return f"{self.endpoint.rstrip('/')}/{path}?{urlencode({**VERSION, **(params or {})})}"

    async def _called(self, context: RunContext, method: str, url: str, body: Any = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        given: dict[str, Any] = {} if content is None else {"content": content}
        headers = self._headers(context, method, url, content)
        return await rest_service.mapping(context, "Azure Batch", method, url, headers=headers, **given)

    def _headers(self, context: RunContext, method: str, url: str, content: bytes | None = None) -> dict[str, str]:
        context.mask(self.access_key)
        headers = {"ocp-date": formatdate(usegmt=True)}
        if content is not None:
            headers["Content-Type"] = JSON
        try:
            key = base64.b64decode(self.access_key, validate=True)
        except (binascii.Error, ValueError) as error:
            raise TaskFailed("`accessKey` is no key of Azure's.", fix="Copy it from `Keys` of the account.") from error
        text = signed_text(self.account, method, url, headers, content)
        mark = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
        return {**headers, "Authorization": f"SharedKey {self.account}:{mark}"}


def signed_text(account: str, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> str:
    """What a shared key signs of a call, as the REST API describes it."""
    place = urlsplit(url)
    length = "" if content is None else str(len(content))
    kind = headers.get("Content-Type", "")
    lines = [method, "", "", length, "", kind, "", "", "", "", "", ""]
    lines += [f"ocp-date:{headers['ocp-date']}", f"/{account}{place.path}"]
    lines += [f"{name.lower()}:{value}" for name, value in sorted(parse_qsl(place.query, keep_blank_values=True))]
    return "\n".join(lines)


def below(*steps: str) -> str:
    """A path of names that may hold anything."""
    return "/".join(quote(step, safe="") for step in steps)
