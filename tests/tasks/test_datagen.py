"""Data that is made up, by Faker itself."""

import json
import re
from datetime import timedelta

import pytest

from engine.errors import TaskFailed
from engine.tasks import catalogue
from engine.tasks.made_up_values import PLAIN, made_up, maker_of

DATAGEN = "io.kestra.plugin.datagen"
PERSON = {
    "name": "#{name.fullName}",
    "email": "#{internet.emailAddress}",
    "age": 30,
    "address": {"zip": "#{address.zipCode}", "line": "in #{address.city}, #{address.country}"},
    "skills": ["#{job.keySkills}", "hardcoded"],
    "run": "{{ flow.id }}",
}


def generator(value, kind="JsonObjectGenerator", **more):
    return {"type": f"{DATAGEN}.generators.{kind}", "value": value, **more}


async def test_maps_and_texts(context):
    one = await context.run(type=f"{DATAGEN}.core.Generate", generator=generator(PERSON, locale=["fr", "FR"]))
    assert (one.count, one.uri, one.value["age"], one.value["run"]) == (1, None, 30, "a_flow")
    assert one.size == len(json.dumps(one.value, ensure_ascii=False).encode())
    assert re.fullmatch(r"[^@\s]+@[^@\s]+\.\w+", one.value["email"])
    assert re.fullmatch(r"\d{5}", one.value["address"]["zip"])
    assert re.fullmatch(r"in .+, .+", one.value["address"]["line"])
    assert "#{" not in json.dumps(one.value)
    many = await context.run(type=f"{DATAGEN}.core.Generate", generator=generator(PERSON), batchSize=20, store=True)
    rows = [json.loads(line) for line in context.files.text(many.uri).splitlines()]
    assert (many.count, len(rows), many.value) == (20, 20, None)
    assert many.size == len(context.files.text(many.uri).replace("\n", "").encode())
    assert len({row["name"] for row in rows}) > 10
    texts = generator("#{numerify '##-'}#{options.option 'a','b'}", "StringValueGenerator")
    found = await context.run(type=f"{DATAGEN}.Generate", generator=texts, batchSize=2)
    assert re.fullmatch(r"\d\d-[ab]", found.value), "without `store` there is one"
    with pytest.raises(TaskFailed, match=r"no 'name\.fulName' to make up\. Did you mean name\.fullName"):
        await context.run(type=f"{DATAGEN}.core.Generate", generator=generator({"a": "#{name.fulName}"}))
    with pytest.raises(TaskFailed, match=r"#\{number\.numberBetween\} can't be made up with \['1'\]"):
        await context.run(type=f"{DATAGEN}.core.Generate", generator=generator({"a": "#{number.numberBetween '1'}"}))


async def test_nothing_made_up_fills_the_memory(context):
    words = generator("#{lorem.words '1000000000'}", "StringValueGenerator")
    with pytest.raises(TaskFailed, match="more than 10,000 words"):
        await context.run(type=f"{DATAGEN}.core.Generate", generator=words)
    one = catalogue().resolve(generator(PERSON)).model_validate(generator(PERSON), context={"registry": catalogue()})
    assert next(one.values(10**12))["age"] == 30


async def test_a_trigger_makes_up_data(context):
    value = {"age": "#{number.numberBetween '18','20'}", "flow": "{{ flow.id }}"}
    declared = {"id": "t", "type": f"{DATAGEN}.core.Trigger", "generator": generator(value), "interval": "PT5S"}
    trigger = catalogue().resolve(declared).model_validate(declared, context={"registry": catalogue()})
    del declared["interval"]
    assert catalogue().resolve(declared).model_validate(
        declared, context={"registry": catalogue()}
    ).interval == timedelta(seconds=1)
    seen = [(await trigger.poll(context)).value for _ in range(20)]
    assert {one["age"] for one in seen} <= {"18", "19"}
    assert {one["flow"] for one in seen} == {"a_flow"}


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_every_name_gives_something(name):
    assert made_up(f"#{{{name}}}", maker_of(["en", "US"]))


@pytest.mark.parametrize(
    ("locale", "found"),
    [(["fr", "FR"], "fr_FR"), (["sl"], "sl_SI"), (["us", "US"], "en_US"), (["de-CH"], "de_CH"), ([], "en_US")],
)
def test_locales(locale, found):
    assert maker_of(locale).locales == [found]
