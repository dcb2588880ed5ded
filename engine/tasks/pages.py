"""Lists that a service gives page by page: where the next one is, and an end to those that lead back to themselves."""

import json
from typing import Any

from engine.plugin import TaskFailed


class Pages:
    """The pages of one list of a service, each of which is asked for once."""

    def __init__(self, service: str, first: Any = None) -> None:
        """`first` is the cursor that the first page was asked for with, if any."""
        self._service = service
        self._seen: set[str] = set()
        self.after(first)

    def after(self, cursor: Any) -> str:
        """The cursor or address of the next page as text, empty when there is none; TaskFailed when it led here before.

        Of a list that only counts its pages the rows of a page can stand for it: no two pages are the same.
        """
        if not cursor:
            return ""
        text = cursor if isinstance(cursor, str) else json.dumps(cursor, sort_keys=True)
        if text in self._seen:
            raise TaskFailed(
                f"{self._service} answered the same page twice: its list leads back to itself.",
                fix="Check the address: a cache, a proxy or another service may answer there.",
            )
        self._seen.add(text)
        return text
