"""Values that are made up: `#{name.fullName}` and its like, as Datafaker writes them, by Faker."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from engine.plugin import TaskFailed
from engine.tasks.extras import extra

EXPRESSION = re.compile(r"#\{\s*([A-Za-z_]+(?:\.[A-Za-z_0-9]+)?)\s*((?:'[^']*'\s*,?\s*)*)\}")
GIVEN = re.compile(r"'([^']*)'")
SKILLS = ("Teamwork", "Communication", "Problem solving", "Leadership", "Organisation", "Networking", "Fast learner")
SENIORITY = ("Junior", "Senior", "Lead", "Principal", "Chief")
DEPARTMENTS = ("Books", "Clothing", "Electronics", "Garden", "Grocery", "Health", "Home", "Music", "Sports", "Toys")

MOST_WORDS = 10_000  # of one expression

Maker = Callable[..., Any]
PLAIN = {  # Datafaker's name → Faker's
    "address.buildingNumber": "building_number",
    "address.city": "city",
    "address.cityName": "city",
    "address.country": "country",
    "address.countryCode": "country_code",
    "address.fullAddress": "address",
    "address.latitude": "latitude",
    "address.longitude": "longitude",
    "address.postcode": "postcode",
    "address.streetAddress": "street_address",
    "address.streetName": "street_name",
    "address.timeZone": "timezone",
    "address.zipCode": "postcode",
    "bool.bool": "boolean",
    "color.hex": "hex_color",
    "color.name": "color_name",
    "company.bs": "bs",
    "company.catchPhrase": "catch_phrase",
    "company.name": "company",
    "company.suffix": "company_suffix",
    "date.birthday": "date_of_birth",
    "file.extension": "file_extension",
    "file.fileName": "file_name",
    "file.mimeType": "mime_type",
    "finance.bic": "swift",
    "finance.creditCard": "credit_card_number",
    "finance.iban": "iban",
    "idNumber.valid": "ssn",
    "internet.domainName": "domain_name",
    "internet.emailAddress": "email",
    "internet.ipV4Address": "ipv4",
    "internet.ipV6Address": "ipv6",
    "internet.macAddress": "mac_address",
    "internet.password": "password",
    "internet.safeEmailAddress": "safe_email",
    "internet.slug": "slug",
    "internet.url": "url",
    "internet.userAgent": "user_agent",
    "internet.username": "user_name",
    "internet.uuid": "uuid4",
    "job.position": "job",
    "job.title": "job",
    "lorem.paragraph": "paragraph",
    "lorem.sentence": "sentence",
    "lorem.word": "word",
    "name.firstName": "first_name",
    "name.fullName": "name",
    "name.lastName": "last_name",
    "name.name": "name",
    "name.prefix": "prefix",
    "name.suffix": "suffix",
    "name.title": "job",
    "name.username": "user_name",
    "number.digit": "random_digit",
    "number.randomDigit": "random_digit",
    "number.randomNumber": "random_number",
    "phoneNumber.cellPhone": "phone_number",
    "phoneNumber.phoneNumber": "phone_number",
}


def maker_of(locale: list[str]) -> Any:
    """A Faker of a language and country, of English where Faker has none of it; TaskFailed without the library."""
    library = extra("faker", "datagen")
    known = extra("faker.config", "datagen").AVAILABLE_LOCALES
    language, country = [*(one.strip() for one in locale), "", ""][:2]
    wanted = (f"{language.lower()}_{country.upper()}", language.replace("-", "_"))
    near = [one for one in sorted(known) if language and one.startswith(f"{language.lower()}_")]
    return library.Faker(next((one for one in (*wanted, *near) if one in known), "en_US"))


def made_up(value: Any, fake: Any) -> Any:
    """A value with all expressions in it made up, however deep they lie; TaskFailed for one that is not known."""
    if isinstance(value, Mapping):
        return {key: made_up(inner, fake) for key, inner in value.items()}
    if isinstance(value, list):
        return [made_up(one, fake) for one in value]
    if not isinstance(value, str):
        return value
    return EXPRESSION.sub(lambda found: str(_made(found[1], GIVEN.findall(found[2]), fake)), value)


def _words(count: str) -> int:
    if int(count) > MOST_WORDS:
        raise ValueError(f"that is more than {MOST_WORDS:,} words")
    return int(count)


def _made(name: str, given: list[str], fake: Any) -> Any:
    makers: dict[str, Maker] = {
        "bothify": fake.bothify,
        "commerce.department": lambda: fake.random_element(DEPARTMENTS),
        "commerce.price": lambda low="0", high="100": f"{fake.random.uniform(float(low), float(high)):.2f}",
        "job.keySkills": lambda: fake.random_element(SKILLS),
        "job.seniority": lambda: fake.random_element(SENIORITY),
        "letterify": fake.lexify,
        "lorem.words": lambda count="3": " ".join(fake.words(_words(count))),
        "number.numberBetween": lambda low, high: fake.random_int(int(low), max(int(high) - 1, int(low))),
        "number.randomDouble": lambda digits, low, high: round(
            fake.random.uniform(float(low), float(high)), int(digits)
        ),
        "numerify": fake.numerify,
        "options.option": lambda *choices: fake.random_element(choices),
    }
    if name in PLAIN:
        makers[name] = lambda *ignored: getattr(fake, PLAIN[name])()
    if name not in makers:
        near = get_close_matches(name, [*PLAIN, *makers], 3, 0.5)
        fix = f"Did you mean {', '.join(near)}?" if near else "Use another, or write the value itself."
        raise TaskFailed(f"There is no {name!r} to make up.", fix=fix)
    try:
        return makers[name](*given)
    except (TypeError, ValueError, IndexError) as error:
        raise TaskFailed(f"#{{{name}}} can't be made up with {given}: {error}.") from error
    except AttributeError as error:  # not in every language
        raise TaskFailed(f"#{{{name}}} can't be made up in this `locale`.", fix="Use another locale.") from error
