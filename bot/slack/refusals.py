"""What Slack's refusals mean, as sentences that say what to do. Pure."""

from bot.frontend import Unreachable

TOKEN = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"})
_GONE = frozenset({"message_not_found", "thread_not_found"})
_CLOSED = frozenset({"cant_update_message", "edit_window_closed"})
_TOKEN_WAIT = 60.0  # seconds between two looks whether a token works again
PASSING = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "accesslimited"}
)
NO_TRIGGER = frozenset({"expired_trigger_id", "trigger_expired", "invalid_trigger_id", "trigger_id_expired"})
USED_TRIGGER = frozenset({"exchanged_trigger_id", "trigger_exchanged"})


def channel_text(channel: str) -> str:
    """A channel as people read it."""
    return (
        f"<#{channel}>" if channel[:1] in "CG" and channel.isalnum() and channel.isupper() else channel or "the channel"
    )


def refusal(code: str, channel: str = "", *, needed: str = "", retry_after: float | None = None) -> Unreachable:
    """An error name of Slack's, for whoever reads the log or the card."""
    where = channel_text(channel)
    if code in ("ratelimited", "rate_limited") or retry_after is not None:
        wait = retry_after if retry_after is not None else 30.0
        return Unreachable(f"Slack asks for a pause of {wait:g} s.", retry_after=wait)
    if code in _GONE:
        return Unreachable(f"The message in {where} was deleted.", gone=True)
    if code in _CLOSED:
        return Unreachable(f"Slack lets nobody edit the message in {where} any more ({code}).", gone=True)
    if code in ("not_in_channel", "channel_not_found"):
        return Unreachable(
            f"I'm not in {where}. Invite me with `/invite @parley`, then press Retry. Your input is kept.",
            outside=True,
        )
    if code == "is_archived":
        return Unreachable(f"{where} is archived. Unarchive it, or name another channel.")
    if code in TOKEN:
        return Unreachable(
            f"Slack no longer accepts the bot token ({code}). Reinstall the app, set SLACK_BOT_TOKEN, restart Parley.",
            retry_after=_TOKEN_WAIT,
            about="platform",
        )
    if code in ("missing_scope", "no_permission"):
        return Unreachable(
            f"The Slack app lacks the scope {needed or 'it needs'}. Add it under OAuth & Permissions, then reinstall."
        )
    if code in ("restricted_action", "restricted_action_read_only_channel", "posting_to_general_channel_denied"):
        return Unreachable(f"Slack's settings don't let apps post in {where}. Ask a workspace admin, or name another.")
    if code in PASSING:
        return Unreachable(f"Slack has a problem of its own ({code}).", retry_after=5.0)
    return Unreachable(f"Slack refused the message for {where}: {code}.")
