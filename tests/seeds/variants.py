"""The four seed flows, and our own rewriting of each: the same tests run over both."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.shared import ROOT, seed


@dataclass(frozen=True)
class Variant:
    """One flow file. `path` skips without the shared test data on a laptop, and fails in CI."""

    is_seed: bool
    file: str
    namespace: str
    id: str

    @property
    def path(self) -> Path:
        return seed(self.file) if self.is_seed else ROOT / "flows" / "examples" / self.file

    @property
    def name(self) -> str:
        return f"{self.namespace}/{self.id}"


def _both(seed_file: str, our_file: str):
    variants = [
        Variant(True, seed_file, "company.ai", seed_file.removesuffix(".yaml")),
        Variant(False, our_file, "examples", our_file.removesuffix(".yaml")),
    ]
    return pytest.mark.parametrize("variant", variants, ids=["seed", "ours"])


WEATHER = _both("check_weather.yaml", "weather_check.yaml")
TODOIST = _both("add_tasks_to_todoist.yaml", "todo_from_text.yaml")
IMAGE = _both("gen_img_approval.yaml", "image_approval.yaml")
COMMITS = _both("ai-summarize-weekly-git-commits.yaml", "weekly_commits.yaml")
