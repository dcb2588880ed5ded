"""`io.kestra.plugin.linkedin`: tokens, and how people react to posts."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.property_types import Text, TextList

API, TOKENS = "https://api.linkedin.com/rest", "https://www.linkedin.com/oauth/v2/accessToken"


class Token(Outputs):
    """The token: a secret in the database, logs and cards."""

    accessToken: str  # noqa: N815 - appears as written
    tokenType: str = "Bearer"  # noqa: N815
    expiresIn: int | None = None  # noqa: N815
    expiresAt: str | None = None  # noqa: N815
    scope: str | None = None


class OAuth2(RunnableTask):
    """Get a new access token for a refresh token."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: token
type: io.kestra.plugin.linkedin.OAuth2
clientId: "{{ secret('LINKEDIN_CLIENT_ID') }}"
clientSecret: "{{ secret('LINKEDIN_CLIENT_SECRET') }}"
refreshToken: "{{ secret('LINKEDIN_REFRESH_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.linkedin.OAuth2"]
    client_id: Property[Text]
    client_secret: Property[Text]
    refresh_token: Property[Text]
    token_url: Property[Text] = TOKENS

    async def run(self, context: RunContext) -> Token:
        for secret in (self.client_secret, self.refresh_token):
            context.mask(secret)
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        found = await rest_service.mapping(context, "LinkedIn", "POST", self.token_url, data=form)
        token = str(found.get("access_token") or "")
        if not token:
            raise TaskFailed("LinkedIn gave no token.", fix="Check `refreshToken`: it may have ended.")
        context.mask(token)
        seconds = found.get("expires_in")
        until = datetime.now(UTC) + timedelta(seconds=int(seconds)) if seconds is not None else None
        return Token(
            accessToken=token,
            tokenType=found.get("token_type") or "Bearer",
            expiresIn=seconds,
            expiresAt=until.isoformat() if until else None,
            scope=found.get("scope"),
        )


class Reactions(Outputs):
    """How people reacted, post by post."""

    posts: list[dict[str, Any]]
    totalPosts: int  # noqa: N815 - appears as written
    totalReactions: int  # noqa: N815


class GetPostAnalytics(RunnableTask):
    """Fetch the reactions to posts."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: reactions
type: io.kestra.plugin.linkedin.GetPostAnalytics
accessToken: "{{ outputs.token.accessToken }}"
activityUrns:
  - urn:li:activity:7374025671234244609
""",
    )
    type: Literal["io.kestra.plugin.linkedin.GetPostAnalytics", "io.kestra.plugin.linkedin.PostAnalytics"]
    access_token: Property[Text]
    activity_urns: Property[TextList]
    application_name: Property[Text] = "parley"
    api_version: Property[Text] = "202509"
    api_base_url: Property[Text] = API

    async def run(self, context: RunContext) -> Reactions:
        context.mask(self.access_token)
        headers = {
            "Authorization": f"Bearer {self.access_token}",
            "LinkedIn-Version": self.api_version,
            "X-Restli-Protocol-Version": "2.0.0",
        }
        posts = []
        for urn in self.activity_urns:
            url = f"{self.api_base_url.rstrip('/')}/reactions/(entity:{quote(urn, safe='')})"
            url += "?q=entity&sort=(value:REVERSE_CHRONOLOGICAL)"
            posts.append(_post(urn, await rest_service.mapping(context, "LinkedIn", "GET", url, headers=headers)))
        total = sum(post["totalReactions"] for post in posts)
        return Reactions(posts=posts, totalPosts=len(posts), totalReactions=total)


def _post(urn: str, told: dict[str, Any]) -> dict[str, Any]:
    """A post's reactions, the newest first, and how many there are of each kind."""
    reactions = [
        {
            "reactionId": one.get("id"),
            "reactionType": one.get("reactionType"),
            "rootUrn": one.get("root"),
            "actorUrn": (one.get("created") or {}).get("actor"),
            "createdTime": (one.get("created") or {}).get("time"),
            "impersonatorUrn": (one.get("created") or {}).get("impersonator"),
            "lastModifiedTime": (one.get("lastModified") or {}).get("time"),
        }
        for one in rest_service.listed(told, "LinkedIn", "elements")
    ]
    kinds = Counter(one["reactionType"] for one in reactions if one["reactionType"])
    total = rest_service.mapped(told.get("paging"), "LinkedIn").get("total", len(reactions))
    return {"activityUrn": urn, "totalReactions": total, "reactions": reactions, "reactionsSummary": dict(kinds)}
