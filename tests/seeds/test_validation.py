"""What `parley validate` says of the four flows and of ours."""

import hashlib
import os

import pytest

from engine.core.flow_source import check
from engine.tasks import catalogue
from tests.seeds.variants import COMMITS, IMAGE, TODOIST, WEATHER
from tests.shared import ROOT

# SHA-256 of the flows as they were published.
PUBLISHED = {
    "add_tasks_to_todoist.yaml": "659d8ce3e53e1a39396ebd33c426388c907b7b77ce632242479328aa7fb1212d",
    "ai-summarize-weekly-git-commits.yaml": "7309ec4916b210f8ef846ac3ef34ca080443307cf84129ae5f377e081d6e60e7",
    "check_weather.yaml": "06307603b3da0e080cc5217e7acf7789e14c763dc06800e00de1639bdf12a313",
    "gen_img_approval.yaml": "93513e980bf2b94d2ed2e75a9c4ab0e80e8baf89d9f0dc7201b4dd23d7eaba00",
}
# Parts of what has to be pointed out, by flow.
POINTED_OUT = {
    "add_tasks_to_todoist.yaml": ("`jsonResponseSchema` is not quite JSON",),
    "ai-summarize-weekly-git-commits.yaml": ("`{{ inputs.branch }}` stands unquoted", "files that `wdir` declares"),
    "check_weather.yaml": ("`jsonResponseSchema` is not quite JSON", "60 runs between 8:00 and 8:59"),
    "gen_img_approval.yaml": ("is an older name of",),
}
VARIANTS = [variant for both in (WEATHER, TODOIST, IMAGE, COMMITS) for variant in both.args[1]]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.id)
def test_every_flow_is_valid_and_what_is_odd_is_pointed_out(variant):
    content = variant.path.read_bytes()
    problems = check(content.decode(), catalogue(), file=variant.file)
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    if not variant.is_seed:
        assert problems == []
        return
    if "PARLEY_SEEDS" not in os.environ:
        assert hashlib.sha256(content).hexdigest() == PUBLISHED[variant.file]
    for text in POINTED_OUT[variant.file]:
        assert any(text in problem.message for problem in problems), [problem.message for problem in problems]
    assert all(problem.line for problem in problems)


def test_the_flow_that_the_seed_calls_is_shipped():
    assert check((ROOT / "flows/demo/generate_image.yaml").read_text(), catalogue()) == []
