"""Methods of Slack's Web API that tasks call: each knows its arguments, refuses with Slack's names, and keeps a small
workspace. Arguments come as a form, which every method takes; JSON is read by those only that say so."""

import json
import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
ME = "U0APP"
# method: arguments it needs, arguments it may have
MESSAGE = "text blocks attachments username icon_url icon_emoji thread_ts reply_broadcast unfurl_links unfurl_media"
METHODS = {
    "chat.postMessage": ("channel", MESSAGE + " mrkdwn metadata"),
    "chat.postEphemeral": ("channel user", MESSAGE),
    "chat.update": ("channel ts", MESSAGE + " metadata"),
    "chat.delete": ("channel ts", ""),
    "chat.scheduleMessage": ("channel post_at", MESSAGE + " metadata"),
    "chat.deleteScheduledMessage": ("channel scheduled_message_id", ""),
    "chat.startStream": ("channel thread_ts", "markdown_text recipient_user_id recipient_team_id"),
    "chat.appendStream": ("channel ts markdown_text", ""),
    "chat.stopStream": ("channel ts", "markdown_text blocks metadata"),
    "reactions.add": ("channel timestamp name", ""),
    "reactions.remove": ("channel timestamp name", ""),
    "reactions.get": ("", "channel timestamp file file_comment full"),
    "conversations.create": ("name", "is_private team_id"),
    "conversations.archive": ("channel", ""),
    "conversations.unarchive": ("channel", ""),
    "conversations.close": ("channel", ""),
    "conversations.open": ("", "users channel return_im"),
    "conversations.info": ("channel", "include_locale"),
    "conversations.list": ("", "types exclude_archived team_id limit cursor"),
    "conversations.members": ("channel", "limit cursor"),
    "conversations.history": ("channel", "oldest latest inclusive limit cursor"),
    "conversations.invite": ("channel users", "force"),
    "conversations.kick": ("channel user", ""),
    "conversations.join": ("channel", ""),
    "conversations.leave": ("channel", ""),
    "conversations.rename": ("channel name", ""),
    "conversations.setTopic": ("channel topic", ""),
    "conversations.setPurpose": ("channel purpose", ""),
    "users.info": ("user", "include_locale"),
    "users.lookupByEmail": ("email", ""),
    "users.list": ("", "include_locale limit cursor team_id"),
    "users.getPresence": ("user", ""),
    "users.profile.get": ("", "user include_labels"),
    "users.conversations": ("", "user types exclude_archived limit cursor"),
    "canvases.create": ("", "title document_content"),
    "canvases.edit": ("canvas_id changes", ""),
    "canvases.delete": ("canvas_id", ""),
    "canvases.access.set": ("canvas_id access_level", "channel_ids user_ids"),
    "canvases.sections.lookup": ("canvas_id criteria", ""),
    "files.getUploadURLExternal": ("filename length", "alt_txt snippet_type"),
    "files.completeUploadExternal": ("files", "channel_id channels initial_comment thread_ts"),
    "files.info": ("file", ""),
    "files.delete": ("file", ""),
}
NESTED = {
    "blocks": list, "attachments": list, "metadata": dict, "document_content": dict, "changes": list,
    "criteria": dict, "channel_ids": list, "user_ids": list, "files": list,
}  # fmt: skip


MAX_TEXT = 40_000
MAX_PIECE = 12_000  # of a message that is written piece by piece


class Refused(Exception):
    """Slack's name for what is wrong, and its reasons as far as it gives some."""

    def __init__(self, error: str, *reasons: str) -> None:
        super().__init__(error)
        self.reasons = reasons


def _need(true: object, error: str) -> None:
    if not true:
        raise Refused(error)


class SlackMethods:
    """The workspace: channels, people, messages, canvases, files; `calls` are the arguments that were accepted."""

    def __init__(self) -> None:
        topic = {"value": "", "creator": "", "last_set": 0}
        self.channels: dict[str, Json] = {}
        self.members: dict[str, list[str]] = {}
        for id_, name in (("C1", "general"), ("C2", "ops"), ("C3", "random")):
            self.channels[id_] = {
                "id": id_, "name": name, "is_channel": True, "is_private": False, "is_im": False, "is_archived": False,
                "is_general": id_ == "C1", "created": 1700000000, "topic": topic, "purpose": topic,
            }  # fmt: skip
            self.members[id_] = [ME, "U1"]
        profile = {
            "real_name": "Ann Lee",
            "email": "ann@example.com",
            "status_expiration": 0,
            "image_24": "http://i/24",
        }
        self.users: dict[str, Json] = {
            id_: {"id": id_, "team_id": "T1", "name": name, "real_name": "Ann Lee", "tz_offset": 3600, "is_bot": False,
                  "updated": 1700000000, "has_2fa": True, "profile": profile}
            for id_, name in (("U1", "ann"), ("U2", "bob"), (ME, "app"))
        }  # fmt: skip
        self.messages: dict[str, Json] = {}
        self.scheduled: dict[str, Json] = {}
        self.canvases: dict[str, Json] = {}
        self.files: dict[str, Json] = {}
        self.calls: list[Json] = []
        self.upload_url = ""
        self._number = 0

    def answer(self, method: str, given: Mapping[str, str]) -> Json:
        """Slack's answer to a form."""
        try:
            return {"ok": True, **self._answered(method, dict(given))}
        except Refused as refusal:
            needed = {"needed": "reactions:read"} if str(refusal) == "missing_scope" else {}
            said = {"response_metadata": {"messages": [f"[ERROR] {reason}" for reason in refusal.reasons]}}
            return {"ok": False, "error": str(refusal), **needed, **(said if refusal.reasons else {})}

    def _answered(self, method: str, form: dict[str, str]) -> Json:
        _need(method in METHODS, "unknown_method")
        needs, may = (set(text.split()) for text in METHODS[method])
        _need(form.keys() <= needs | may, "invalid_arguments")
        _need(all(form.get(name) for name in needs), "invalid_arguments")
        _need(len(form.get("markdown_text", "")) <= MAX_PIECE, "msg_too_long")
        body: Json = dict(form)
        for name, kind in NESTED.items():
            if name in form:
                body[name] = json.loads(form[name])
                _need(isinstance(body[name], kind), "invalid_json")
        found: Json = getattr(self, "_" + re.sub(r"\W|(?<=[a-z])(?=[A-Z])", "_", method).lower())(body)
        self.calls.append({"method": method, **body})
        return found

    def _next(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}{self._number}"

    def _channel(self, id_: str) -> Json:
        _need(id_ in self.channels, "channel_not_found")
        return self.channels[id_]

    def _message(self, body: Json, key: str = "ts") -> Json:
        self._channel(body["channel"])
        found = self.messages.get(body[key])
        _need(found and found["channel"] == body["channel"], "message_not_found")
        return found or {}

    def _content(self, body: Json) -> Json:
        """What Slack warns of, once the content is fine."""
        _need(body.get("text") or body.get("blocks") or body.get("attachments"), "no_text")
        for number, block in enumerate(body.get("blocks") or []):
            if block["type"] == "section" and len(block["text"]["text"]) > 3000:
                reason = f"must be less than 3001 characters [json-pointer:/blocks/{number}/text/text]"
                raise Refused("invalid_blocks", reason)
        if len(body.get("text") or "") <= MAX_TEXT:
            return {}
        body["text"] = body["text"][:MAX_TEXT]
        told = "[WARN] Your message was truncated but still posted. The `text` field accepts up to 40,000 characters."
        return {"response_metadata": {"messages": [told], "warnings": ["message_truncated"]}}

    def _page(self, rows: list[Any], key: str, body: Json) -> Json:
        """Two a page, whatever `limit` says: whoever reads must turn pages."""
        _need(not body.get("limit") or 1 <= int(body["limit"]) <= 1000, "invalid_limit")
        start = int(body.get("cursor") or 0)
        more = str(start + 2) if start + 2 < len(rows) else ""
        return {key: rows[start : start + 2], "response_metadata": {"next_cursor": more}}

    # chat

    def _chat_post_message(self, body: Json) -> Json:
        warned = self._content(body)
        place = body["channel"].removeprefix("#")
        found = next((one for one in self.channels.values() if place in (one["id"], one["name"])), None)
        _need(found, "channel_not_found")
        ts = f"1700000000.{self._next(''):0>6}"
        self.messages[ts] = {"channel": (found or {})["id"], "ts": ts, "user": ME, "reactions": [], **body}
        self.messages[ts]["channel"] = (found or {})["id"]
        return {"ts": ts, "channel": (found or {})["id"], **warned}

    def _chat_post_ephemeral(self, body: Json) -> Json:
        self._content(body)
        self._channel(body["channel"])
        _need(body["user"] in self.members[body["channel"]], "user_not_in_channel")
        return {"message_ts": f"1700000000.{self._next(''):0>6}"}

    def _chat_update(self, body: Json) -> Json:
        self._content(body)
        found = self._message(body)
        _need(found["user"] == ME, "cant_update_message")
        found |= {key: body[key] for key in ("text", "blocks", "attachments") if key in body}
        return {"ts": found["ts"], "channel": found["channel"]}

    def _chat_delete(self, body: Json) -> Json:
        return {"ts": self.messages.pop(self._message(body)["ts"])["ts"]}

    def _chat_schedule_message(self, body: Json) -> Json:
        self._content(body)
        self._channel(body["channel"])
        _need(re.fullmatch(r"\d{10}", body["post_at"]), "invalid_time")
        _need(int(body["post_at"]) > 1_700_000_000, "time_in_past")
        id_ = self._next("Q")
        self.scheduled[id_] = body
        return {"scheduled_message_id": id_, "post_at": int(body["post_at"]), "channel": body["channel"]}

    def _chat_delete_scheduled_message(self, body: Json) -> Json:
        _need(self.scheduled.pop(body["scheduled_message_id"], None), "invalid_scheduled_message_id")
        return {}

    def _chat_start_stream(self, body: Json) -> Json:
        self._channel(body["channel"])
        _need(body.get("recipient_user_id") and body.get("recipient_team_id"), "missing_recipient_user_id")
        ts = f"1700000000.{self._next(''):0>6}"
        text = body.get("markdown_text", "")
        self.messages[ts] = {"channel": body["channel"], "ts": ts, "user": ME, "text": text, "streaming": True}
        return {"ts": ts, "channel": body["channel"]}

    def _chat_append_stream(self, body: Json) -> Json:
        found = self._message(body)
        _need(found.get("streaming"), "message_not_in_streaming_state")
        found["text"] += body["markdown_text"]
        return {"ts": found["ts"], "channel": found["channel"]}

    def _chat_stop_stream(self, body: Json) -> Json:
        found = self._message(body)
        _need(found.pop("streaming", False), "message_not_in_streaming_state")
        found["text"] += body.get("markdown_text", "")
        found["blocks"] = body.get("blocks")
        return {"ts": found["ts"], "channel": found["channel"]}

    # reactions

    def _reactions_add(self, body: Json) -> Json:
        found = self._message(body, "timestamp")
        _need(re.fullmatch(r"[a-z0-9_+'-]+(::skin-tone-\d)?", body["name"]), "invalid_name")
        _need(body["name"] not in [one["name"] for one in found["reactions"]], "already_reacted")
        found["reactions"].append({"name": body["name"], "count": 1, "users": [ME]})
        return {}

    def _reactions_remove(self, body: Json) -> Json:
        found = self._message(body, "timestamp")
        left = [one for one in found["reactions"] if one["name"] != body["name"]]
        _need(len(left) < len(found["reactions"]), "no_reaction")
        found["reactions"] = left
        return {}

    def _reactions_get(self, body: Json) -> Json:
        if body.get("file"):
            return {"type": "file", "file": self._files_info(body)["file"]}
        _need(body.get("channel") and body.get("timestamp"), "no_item_specified")
        return {"type": "message", "message": self._message(body, "timestamp")}

    # conversations

    def _conversations_create(self, body: Json) -> Json:
        _need(re.fullmatch(r"[a-z0-9_-]{1,80}", body["name"]), "invalid_name_specials")
        _need(body["name"] not in [one["name"] for one in self.channels.values()], "name_taken")
        id_ = self._next("C9")
        private = body.get("is_private") == "true"
        self.channels[id_] = {**self.channels["C2"], "id": id_, "name": body["name"], "is_private": private}
        self.members[id_] = [ME]
        return {"channel": self.channels[id_]}

    def _conversations_archive(self, body: Json) -> Json:
        found = self._channel(body["channel"])
        _need(not found["is_general"], "cant_archive_general")
        _need(not found["is_archived"], "already_archived")
        found["is_archived"] = True
        return {}

    def _conversations_unarchive(self, body: Json) -> Json:
        found = self._channel(body["channel"])
        _need(found["is_archived"], "not_archived")
        found["is_archived"] = False
        return {}

    def _conversations_close(self, body: Json) -> Json:
        _need(self._channel(body["channel"])["is_im"], "method_not_supported_for_channel_type")
        return {}

    def _conversations_open(self, body: Json) -> Json:
        _need(bool(body.get("users")) != bool(body.get("channel")), "invalid_arguments")
        for user in body.get("users", "").split(","):
            _need(not user or user in self.users, "user_not_found")
        about = {"id": "D1", "is_im": "," not in body.get("users", ""), "is_mpim": "," in body.get("users", "")}
        self.channels["D1"] = about | {"is_general": False, "is_archived": False, "name": ""}
        return {"channel": about}

    def _conversations_info(self, body: Json) -> Json:
        return {"channel": self._channel(body["channel"])}

    def _listed(self, body: Json) -> list[Json]:
        types = set(body.get("types", "public_channel").split(","))
        _need(types <= {"public_channel", "private_channel", "mpim", "im"}, "invalid_types")
        return [
            one
            for one in self.channels.values()
            if ("private_channel" if one.get("is_private") else "public_channel") in types
            and not (body.get("exclude_archived") == "true" and one["is_archived"])
        ]

    def _conversations_list(self, body: Json) -> Json:
        return self._page(self._listed(body), "channels", body)

    def _conversations_members(self, body: Json) -> Json:
        self._channel(body["channel"])
        return self._page(self.members[body["channel"]], "members", body)

    def _conversations_history(self, body: Json) -> Json:
        self._channel(body["channel"])
        low, high = float(body.get("oldest") or 0), float(body.get("latest") or 9e12)
        rows = [one for one in self.messages.values() if one["channel"] == body["channel"]]
        return self._page([one for one in reversed(rows) if low < float(one["ts"]) < high], "messages", body)

    def _conversations_invite(self, body: Json) -> Json:
        found, users = self._channel(body["channel"]), body["users"].split(",")
        _need(all(user in self.users for user in users), "user_not_found")
        _need(not set(users) & set(self.members[found["id"]]), "already_in_channel")
        self.members[found["id"]] += users
        return {"channel": found}

    def _conversations_kick(self, body: Json) -> Json:
        found = self._channel(body["channel"])
        _need(body["user"] in self.members[found["id"]], "not_in_channel")
        self.members[found["id"]].remove(body["user"])
        return {}

    def _conversations_join(self, body: Json) -> Json:
        return {"channel": self._channel(body["channel"]), "warning": "already_in_channel"}

    def _conversations_leave(self, body: Json) -> Json:
        found = self._channel(body["channel"])
        if ME not in self.members[found["id"]]:
            raise Refused("not_in_channel")
        self.members[found["id"]].remove(ME)
        return {}

    def _conversations_rename(self, body: Json) -> Json:
        found = self._channel(body["channel"])
        found["name"] = body["name"]
        return {"channel": found}

    def _conversations_set_topic(self, body: Json) -> Json:
        _need(len(body["topic"]) <= 250, "too_long")
        found = self._channel(body["channel"])
        found["topic"] = {"value": body["topic"], "creator": ME, "last_set": 1700000001}
        return {"channel": found}

    def _conversations_set_purpose(self, body: Json) -> Json:
        _need(len(body["purpose"]) <= 250, "too_long")
        found = self._channel(body["channel"])
        found["purpose"] = {"value": body["purpose"], "creator": ME, "last_set": 1700000001}
        return {"channel": found, "purpose": body["purpose"]}

    # users

    def _users_info(self, body: Json) -> Json:
        _need(body["user"] in self.users, "user_not_found")
        return {"user": self.users[body["user"]]}

    def _users_lookup_by_email(self, body: Json) -> Json:
        _need(body["email"] == "ann@example.com", "users_not_found")
        return {"user": self.users["U1"]}

    def _users_list(self, body: Json) -> Json:
        return self._page(list(self.users.values()), "members", body)

    def _users_get_presence(self, body: Json) -> Json:
        _need(body["user"] in self.users, "user_not_found")
        return {"presence": "away"}

    def _users_profile_get(self, body: Json) -> Json:
        return {"profile": self._users_info({"user": body.get("user", ME)})["user"]["profile"]}

    def _users_conversations(self, body: Json) -> Json:
        user = body.get("user", ME)
        return self._page([one for one in self._listed(body) if user in self.members[one["id"]]], "channels", body)

    # canvases

    def _canvases_create(self, body: Json) -> Json:
        _need(body["document_content"].get("type") == "markdown", "canvas_creation_failed")
        id_ = self._next("F9")
        self.canvases[id_] = body
        return {"canvas_id": id_}

    def _canvas(self, body: Json) -> None:
        _need(body["canvas_id"] in self.canvases, "canvas_not_found")

    def _canvases_edit(self, body: Json) -> Json:
        self._canvas(body)
        _need(len(body["changes"]) == 1, "invalid_arguments")  # Slack takes one operation a call
        for change in body["changes"]:
            _need(
                change.keys() <= {"operation", "section_id", "document_content", "title_content"}, "invalid_arguments"
            )
        return {}

    def _canvases_delete(self, body: Json) -> Json:
        self._canvas(body)
        del self.canvases[body["canvas_id"]]
        return {}

    def _canvases_access_set(self, body: Json) -> Json:
        self._canvas(body)
        _need(body["access_level"] in ("read", "write"), "invalid_arguments")
        _need(("channel_ids" in body) != ("user_ids" in body), "invalid_arguments")
        return {}

    def _canvases_sections_lookup(self, body: Json) -> Json:
        self._canvas(body)
        _need(body["criteria"].keys() <= {"contains_text", "section_types"}, "invalid_arguments")
        return {"sections": [{"id": "temp:C:1"}]}

    # files

    def _files_get_upload_urlexternal(self, body: Json) -> Json:
        _need(int(body["length"]) > 0, "invalid_arguments")
        id_ = self._next("F")
        self.files[id_] = {"id": id_, "name": body["filename"], "length": int(body["length"])}
        return {"upload_url": f"{self.upload_url}/{id_}", "file_id": id_}

    def _files_complete_upload_external(self, body: Json) -> Json:
        places = [*filter(None, body.get("channels", "").split(",")), *filter(None, [body.get("channel_id")])]
        _need(all(place in self.channels for place in places), "invalid_channel")
        done = []
        for file in body["files"]:
            _need("content" in self.files.get(file["id"], {}), "file_not_found")
            self.files[file["id"]] |= {
                "title": file["title"],
                "channels": places,
                "permalink": f"http://s/{file['id']}",
            }
            done.append({key: self.files[file["id"]][key] for key in ("id", "title", "name", "permalink")})
        return {"files": done}

    def _files_info(self, body: Json) -> Json:
        _need(body["file"] in self.files, "file_not_found")
        found = self.files[body["file"]]
        return {
            "file": {key: found[key] for key in found if key not in ("content", "length")} | {"thumb_64": "http://t"}
        }

    def _files_delete(self, body: Json) -> Json:
        _need(body["file"] in self.files, "file_deleted")
        del self.files[body["file"]]
        return {}

    def upload(self, id_: str, content: bytes) -> bool:
        """Take a file's content; False when it is not as long as was said."""
        if len(content) != self.files[id_]["length"]:
            return False
        self.files[id_]["content"] = content
        return True
