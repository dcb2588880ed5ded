"""Names of months, weekdays and halves of the day in the languages that date patterns know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.expressions.allowance import excerpt
from engine.expressions.failures import fail
from engine.expressions.printing import java_text
from engine.expressions.values import Value


@dataclass(frozen=True, slots=True)
class Names:
    """One language's names; weekdays start on Monday."""

    months: tuple[str, ...]
    short_months: tuple[str, ...]
    days: tuple[str, ...]
    short_days: tuple[str, ...]
    halves: tuple[str, str]
    eras: tuple[str, str]
    first_weekday: int  # 1 Monday, 7 Sunday
    first_week: int  # days of the year that a week needs to be the first
    styles: Mapping[str, str]  # the patterns behind full, long, medium and short


def _names(
    months: str,
    short_months: str,
    days: str,
    short_days: str,
    halves: str,
    eras: str,
    week: tuple[int, int],
    *styles: str,
) -> Names:
    before, after = halves.split(",")
    old, new = eras.split(",")
    return Names(
        tuple(months.split()), tuple(short_months.split()), tuple(days.split()), tuple(short_days.split()),
        (before, after), (old, new), *week, dict(zip(("full", "long", "medium", "short"), styles, strict=True)),
    )  # fmt: skip


_LANGUAGES: Final = {
    "en": _names(
        "January February March April May June July August September October November December",
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday", "Mon Tue Wed Thu Fri Sat Sun",
        "AM,PM", "BC,AD", (7, 1),
        "EEEE, MMMM d, yyyy, h:mm:ss\u202fa zzzz", "MMMM d, yyyy, h:mm:ss\u202fa z", "MMM d, yyyy, h:mm:ss\u202fa",
        "M/d/yy, h:mm\u202fa",
    ),
    "fr": _names(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        "lundi mardi mercredi jeudi vendredi samedi dimanche", "lun. mar. mer. jeu. ven. sam. dim.", "AM,PM",
        "av. J.-C.,ap. J.-C.", (1, 4),
        "EEEE d MMMM yyyy 'à' HH:mm:ss zzzz", "d MMMM yyyy 'à' HH:mm:ss z", "d MMM yyyy, HH:mm:ss", "dd/MM/yyyy HH:mm",
    ),
    "de": _names(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag", "Mo. Di. Mi. Do. Fr. Sa. So.", "AM,PM",
        "v. Chr.,n. Chr.", (1, 4),
        "EEEE, d. MMMM yyyy 'um' HH:mm:ss zzzz", "d. MMMM yyyy 'um' HH:mm:ss z", "dd.MM.yyyy, HH:mm:ss",
        "dd.MM.yy, HH:mm",
    ),
    "es": _names(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr may jun jul ago sept oct nov dic",
        "lunes martes miércoles jueves viernes sábado domingo", "lun mar mié jue vie sáb dom",
        "a. m.,p. m.", "a. C.,d. C.", (1, 4),
        "EEEE, d 'de' MMMM 'de' yyyy, H:mm:ss zzzz", "d 'de' MMMM 'de' yyyy, H:mm:ss z", "d MMM yyyy, H:mm:ss",
        "d/M/yy, H:mm",
    ),
    "it": _names(
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "gen feb mar apr mag giu lug ago set ott nov dic",
        "lunedì martedì mercoledì giovedì venerdì sabato domenica", "lun mar mer gio ven sab dom",
        "AM,PM", "a.C.,d.C.", (1, 4),
        "EEEE d MMMM yyyy HH:mm:ss zzzz", "d MMMM yyyy HH:mm:ss z", "d MMM yyyy, HH:mm:ss", "dd/MM/yy, HH:mm",
    ),
    "pt": _names(
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.",
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
        "seg. ter. qua. qui. sex. sáb. dom.", "AM,PM", "a.C.,d.C.", (7, 1),
        "EEEE, d 'de' MMMM 'de' yyyy 'às' HH:mm:ss zzzz", "d 'de' MMMM 'de' yyyy 'às' HH:mm:ss z",
        "d 'de' MMM 'de' yyyy, HH:mm:ss", "dd/MM/yyyy, HH:mm",
    ),
    "nl": _names(
        "januari februari maart april mei juni juli augustus september oktober november december",
        "jan feb mrt apr mei jun jul aug sep okt nov dec",
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag", "ma di wo do vr za zo",
        "a.m.,p.m.", "v.Chr.,n.Chr.", (1, 4),
        "EEEE d MMMM yyyy 'om' HH:mm:ss zzzz", "d MMMM yyyy 'om' HH:mm:ss z", "d MMM yyyy, HH:mm:ss",
        "dd-MM-yyyy HH:mm",
    ),
}  # fmt: skip
ENGLISH: Final = _LANGUAGES["en"]


def names_of(locale: Value) -> Names:
    """The names of a locale such as `fr` or `fr_FR`; ExpressionFailed for a language that is not here."""
    if locale is None or locale == "":
        return ENGLISH
    found = _LANGUAGES.get(str(locale).replace("-", "_").partition("_")[0].lower()) if isinstance(locale, str) else None
    if found is None:
        fail(f"There is no locale {excerpt(java_text(locale), 40)!r}.", f"Use one of {', '.join(_LANGUAGES)}.")
    return found
