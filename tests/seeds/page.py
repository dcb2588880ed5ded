"""A browser without scripts: reads pages, sends their forms with what is hidden in them, keeps cookies."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx


@dataclass
class PageForm:
    """One form of a page: where it goes, what it holds, and what its button says."""

    action: str
    values: dict[str, str] = field(default_factory=dict)
    button: str = ""


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.pictures: list[str] = []
        self.open: PageForm | None = None
        self.in_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "img":
            self.pictures.append(given["src"])
        if tag == "form":
            self.open = PageForm(given["action"])
            self.forms.append(self.open)
        elif self.open is not None and tag in ("input", "textarea", "select") and given.get("name"):
            if given.get("type") not in ("checkbox", "radio"):
                self.open.values[given["name"]] = given.get("value", "")
        elif self.open is not None and tag == "button":
            self.in_button = True

    def handle_data(self, data: str) -> None:
        if self.in_button and self.open is not None:
            self.open.button += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self.in_button = False
        elif tag == "form":
            self.open = None


class Page:
    """What is on the screen."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, follow_redirects=True, timeout=20, trust_env=False)
        self.text = ""
        self.path = ""

    async def open(self, path: str) -> "Page":
        return self._show(await self.http.get(path))

    def _show(self, answer: httpx.Response) -> "Page":
        assert answer.status_code in (200, 422), f"{answer.status_code} {answer.url}: {answer.text[:2000]}"
        self.text, self.path = answer.text, answer.url.path
        self._read = _Forms()
        self._read.feed(answer.text)
        return self

    @property
    def pictures(self) -> list[str]:
        return self._read.pictures

    @property
    def buttons(self) -> list[str]:
        return [form.button.strip() for form in self._read.forms]

    async def send(self, button: str, **values: str) -> "Page":
        """Press the newest button of that label, with fields of its form filled in (`f0` is `f:0`)."""
        found = [form for form in self._read.forms if form.button.strip() == button]
        assert found, f"no button {button!r} at {self.path}; there are {self.buttons}"
        given = {re.sub(r"^f(\d+)$", r"f:\1", name): value for name, value in values.items()}
        form = found[-1]
        assert not set(given) - set(form.values), f"{button!r} sends {sorted(form.values)}"
        origin = {"Origin": str(self.http.base_url).rstrip("/")}
        return self._show(await self.http.post(form.action, data={**form.values, **given}, headers=origin))

    async def close(self) -> None:
        await self.http.aclose()
