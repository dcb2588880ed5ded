"""Grok: regular expressions made of named ones, such as `%{IP:client} %{NUMBER:bytes:int}`."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.plugin import TaskFailed
from engine.tasks.extras import extra

LONGEST = 100_000  # characters of an expression with all that it names
DEEPEST = 30
SECONDS = 5.0  # for one text

_NAMED = re.compile(r"%\{(?P<pattern>\w+)(?::(?P<field>[^:}]+))?(?::(?P<kind>\w+))?\}")

PATTERNS: Final[dict[str, str]] = {
    "USERNAME": r"[\w.-]+",
    "USER": "%{USERNAME}",
    "EMAILLOCALPART": r"[\w!#$%&'*+/=?^`{|}~.-]{1,64}",
    "EMAILADDRESS": "%{EMAILLOCALPART}@%{HOSTNAME}",
    "INT": r"[+-]?[0-9]+",
    "BASE10NUM": r"(?<![0-9.+-])[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)",
    "NUMBER": "%{BASE10NUM}",
    "BASE16NUM": r"(?<![0-9A-Fa-f])[+-]?(?:0x)?[0-9A-Fa-f]+",
    "POSINT": r"\b[1-9][0-9]*\b",
    "NONNEGINT": r"\b[0-9]+\b",
    "WORD": r"\b\w+\b",
    "NOTSPACE": r"\S+",
    "SPACE": r"\s*",
    "DATA": r".*?",
    "GREEDYDATA": r".*",
    "QUOTEDSTRING": r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)""",
    "QS": "%{QUOTEDSTRING}",
    "UUID": r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
    "MAC": r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}",
    "IPV4": r"(?<![0-9.])(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?![0-9])",
    "IPV6": r"(?<![\w:])(?=[0-9A-Fa-f.]*:)(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|%{IPV4})?(?:%\w+)?(?![\w:])",
    "IP": "(?:%{IPV6}|%{IPV4})",
    "HOSTNAME": r"\b[0-9A-Za-z](?:[0-9A-Za-z_-]{0,62})(?:\.[0-9A-Za-z][0-9A-Za-z_-]{0,62})*\.?(?:\b|(?<=\.))",
    "IPORHOST": "(?:%{IP}|%{HOSTNAME})",
    "HOSTPORT": "%{IPORHOST}:%{POSINT}",
    "UNIXPATH": r"(?:/[\w%!$@:.,+~-]*)+",
    "WINPATH": r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*\s]*)+",
    "PATH": "(?:%{UNIXPATH}|%{WINPATH})",
    "TTY": r"/dev/(?:pts/?|tty[pq]?)\w*",
    "URIPROTO": r"[A-Za-z][A-Za-z0-9+.-]*",
    "URIHOST": "%{IPORHOST}(?::%{POSINT})?",
    "URIPATH": r"(?:/[\w$.+!*'(){},~:;=@#%&|-]*)+",
    "URIPARAM": r"\?[\w$.+!*'|(){},~@#%&/=:;?<>\[\]-]*",
    "URIPATHPARAM": "%{URIPATH}(?:%{URIPARAM})?",
    "URI": r"%{URIPROTO}://(?:%{USER}(?::[^@\s]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?",
    "MONTH": r"\b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b",
    "MONTHNUM": r"(?:1[0-2]|0?[1-9])",
    "MONTHNUM2": r"(?:1[0-2]|0[1-9])",
    "MONTHDAY": r"(?:3[01]|[12][0-9]|0?[1-9])",
    "DAY": r"\b(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)\b",
    "YEAR": r"(?:[0-9]{4}|[0-9]{2})",
    "HOUR": r"(?:2[0-3]|[01]?[0-9])",
    "MINUTE": r"[0-5][0-9]",
    "SECOND": r"(?:60|[0-5]?[0-9])(?:[:.,][0-9]+)?",
    "TIME": r"(?<![0-9])%{HOUR}:%{MINUTE}(?::%{SECOND})?(?![0-9])",
    "DATE_US": "%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}",
    "DATE_EU": "%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}",
    "DATE": "(?:%{DATE_US}|%{DATE_EU})",
    "DATESTAMP": "%{DATE}[- ]%{TIME}",
    "ISO8601_TIMEZONE": "(?:Z|[+-]%{HOUR}(?::?%{MINUTE})?)",
    "ISO8601_SECOND": "%{SECOND}",
    "TIMESTAMP_ISO8601": "%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?",
    "TZ": r"\b[A-Z]{3,4}\b",
    "DATESTAMP_RFC822": "%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}",
    "DATESTAMP_RFC2822": "%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}",
    "DATESTAMP_OTHER": "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}",
    "DATESTAMP_EVENTLOG": "%{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}",
    "HTTPDATE": "%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}",
    "SYSLOGTIMESTAMP": "%{MONTH} +%{MONTHDAY} %{TIME}",
    "PROG": r"[\x21-\x5a\x5c\x5e-\x7e]+",
    "SYSLOGPROG": r"%{PROG:program}(?:\[%{POSINT:pid}\])?",
    "SYSLOGHOST": "%{IPORHOST}",
    "SYSLOGFACILITY": "<%{NONNEGINT:facility}.%{NONNEGINT:priority}>",
    "SYSLOGBASE": "%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource} %{SYSLOGPROG}:",
    "SYSLOGLINE": "%{SYSLOGBASE} %{GREEDYDATA:message}",
    "LOGLEVEL": r"\b(?i:trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|alert"
    r"|emerg(?:ency)?)\b",
    "HTTPDUSER": "(?:%{EMAILADDRESS}|%{USER})",
    "COMMONAPACHELOG": r"%{IPORHOST:clientip} %{HTTPDUSER:ident} %{HTTPDUSER:auth} \[%{HTTPDATE:timestamp}\] "
    r'"(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})" '
    r"%{NUMBER:response} (?:%{NUMBER:bytes}|-)",
    "COMBINEDAPACHELOG": "%{COMMONAPACHELOG} %{QS:referrer} %{QS:agent}",
    "JAVACLASS": r"(?:[A-Za-z$_][\w$]*\.)*[A-Za-z$_][\w$]*",
    "JAVAFILE": r"[\w. -]+",
    "JAVATHREAD": r"[A-Z]{2}-Processor[0-9]+",
}


def _truth(text: str) -> bool:
    return text.lower() == "true"


KINDS: Final[dict[str, Callable[[str], Any]]] = {
    "string": str, "int": int, "integer": int, "long": int, "short": int, "float": float, "double": float,
    "boolean": _truth,
}  # fmt: skip


class Grok:
    """One expression, ready to search texts."""

    def __init__(self, expression: str, patterns: Mapping[str, str], *, named_only: bool = True) -> None:
        self.patterns, self.named_only = patterns, named_only
        self.expression = expression
        self.fields: list[tuple[str, Callable[[str], Any]]] = []
        library = extra("regex", "grok")
        whole = self._spelled_out(expression, 0)
        try:
            self.found = library.compile(whole)
        except library.error as error:
            raise self._wrong(str(error)) from error

    def _wrong(self, why: str) -> TaskFailed:
        return TaskFailed(f"The pattern {self.expression[:200]!r} can't be used: {why}.")

    def _spelled_out(self, text: str, depth: int) -> str:
        def one(found: re.Match[str]) -> str:
            name, field, kind = found["pattern"], found["field"], (found["kind"] or "string").lower()
            if name not in self.patterns:
                raise TaskFailed(f"There is no pattern `{name}`.", fix="Define it in `patternDefinitions`.")
            if kind not in KINDS:
                raise self._wrong(f"there is no type `{kind}`")
            inner = self._spelled_out(self.patterns[name], depth + 1)
            if field is None and self.named_only:
                return f"(?:{inner})"
            self.fields.append((field or name, KINDS[kind]))
            return f"(?P<parley_{len(self.fields) - 1}>{inner})"

        whole = _NAMED.sub(one, text) if depth <= DEEPEST else ""
        if depth > DEEPEST or len(whole) > LONGEST:
            raise self._wrong("its parts name each other without end")
        return whole

    def captures(self, text: str) -> dict[str, Any] | None:
        """The fields found in a text, "" for those that took no part; None without a match. TaskFailed."""
        try:
            found = self.found.search(text, timeout=SECONDS, concurrent=True)
        except TimeoutError as error:
            raise self._wrong(f"it takes longer than {SECONDS:g} s on one text") from error
        if found is None:
            return None
        fields: dict[str, Any] = {}
        for group, value in found.groupdict().items():
            number = group.removeprefix("parley_")
            name, kind = self.fields[int(number)] if number != group else (group, str)
            if fields.get(name, "") == "":
                fields[name] = self._converted(kind, value) if value else ""
        return fields

    def _converted(self, kind: Callable[[str], Any], text: str) -> Any:
        try:
            return kind(text)
        except ValueError as error:
            raise self._wrong(f"{text[:80]!r} is not of the type it asks for") from error
