"""A real, small language model on loopback, in a process of its own, with OpenAI's API.

Its text makes little sense; its JSON always follows the schema. PARLEY_TEST_GGUF names the file of the model
(SmolLM2 will do); the `xllamacpp` wheel runs it.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shared import part
from tests.wire.loopback import Answered, Loopback, Received, serving

PATIENCE = 60.0  # seconds to load the model on a busy machine


class LanguageModel:
    """The running model: `url` is the base of OpenAI's API."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/v1"

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.root}/health", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        """One request to `chat/completions`: status and answer. Always the same words for the same request."""
        asked = {"max_tokens": 160, "temperature": 0, "seed": 7, "stream": False, **body}
        answer = httpx.post(f"{self.url}/chat/completions", json=asked, timeout=PATIENCE, trust_env=False)
        return answer.status_code, answer.json()

    def say(self, prompt: str, tokens: int = 48) -> str:
        """What it has to say about a prompt."""
        turns = [{"role": "user", "content": prompt[-2000:]}]  # a longer one takes many seconds to read
        status, answer = self.chat({"model": "local", "messages": turns, "max_tokens": tokens})
        assert status == 200, answer
        return str(answer["choices"][0]["message"]["content"])


class ModelService:
    """DeepSeek's API over the model; `schema` is the grammar that `json_object` is answered under, if there is one."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.schema: dict[str, Any] | None = None
        self.said: list[str] = []
        self.wire: Loopback

    @property
    def url(self) -> str:
        return f"{self.wire.url}/v1"

    def answer(self, request: Received) -> Answered:
        if (request.method, request.path) != ("POST", "/v1/chat/completions"):
            return Answered({"error": {"message": f"No route {request.path}"}}, 404)
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return Answered({"error": {"message": "No API key."}}, 401)
        body = request.json
        if self.schema is not None and body.get("response_format") == {"type": "json_object"}:
            grammar = {"name": "reply", "strict": True, "schema": self.schema}
            body = {**body, "response_format": {"type": "json_schema", "json_schema": grammar}}
        status, answer = self.model.chat(body)
        if status == 200:
            self.said.append(answer["choices"][0]["message"]["content"])
        return Answered(answer, status)


@pytest.fixture(scope="session")
def language_model() -> Iterator[LanguageModel]:
    """The model, loaded once for all tests of this process."""
    file = os.environ.get("PARLEY_TEST_GGUF", "")
    there = bool(file) and Path(file).is_file() and find_spec("xllamacpp") is not None
    part(there, "The local language model", "set PARLEY_TEST_GGUF to a GGUF file and `pip install xllamacpp`.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.wire.llm", file, str(port)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        model, end = LanguageModel(port), time.monotonic() + PATIENCE
        while not model.is_ready():
            assert process.poll() is None, "the language model could not be loaded"
            assert time.monotonic() < end, "the language model took too long to load"
            time.sleep(0.1)
        yield model
    finally:
        process.kill()
        process.wait(10)
        if process.stdin:
            process.stdin.close()


@pytest.fixture
def model_service(language_model: LanguageModel) -> Iterator[ModelService]:
    """DeepSeek's API over the model, running."""
    service = ModelService(language_model)
    with serving(service.answer) as service.wire:
        yield service


def _serve(file: str, port: int) -> None:
    """Serve until whoever started us is gone (its end of our standard input closes)."""
    import xllamacpp

    given = xllamacpp.CommonParams()
    given.model.path = file
    given.hostnames = ["127.0.0.1"]
    given.port = port
    given.n_ctx = 4096
    given.n_parallel = 1
    given.cpuparams.n_threads = 1  # two would spin for each other on a busy machine
    given.warmup = False
    server = xllamacpp.Server(given)
    gone = threading.Thread(target=sys.stdin.read)
    gone.start()
    gone.join()
    del server
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
