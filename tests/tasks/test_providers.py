"""Providers of models: each at its address, with certificates of one's own, and with what it thought."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic.alias_generators import to_camel

from engine.errors import TaskFailed
from tests.wire.anthropic import AnthropicService
from tests.wire.gemini import GeminiService
from tests.wire.loopback import Answered, serving
from tests.wire.ollama import OllamaService
from tests.wire.openai import OpenAiService

AI = "io.kestra.plugin.ai"
FAMILY = ("OpenRouter", "MistralAI", "GitHubModels", "HuggingFace", "LocalAI", "DashScope", "ZhiPuAI")
ASKED = [{"type": "USER", "content": "Hi"}]


def provider(name: str, url: str, **more):
    key = {} if name in ("Ollama", "LocalAI") else {"gitHubToken" if name == "GitHubModels" else "apiKey": "k"}
    at = {"endpoint": url} if name == "Ollama" else {"baseUrl": url}
    return {"type": f"{AI}.provider.{name}", "modelName": "m", **key, **at, **more}


@pytest.mark.parametrize("name", FAMILY)
async def test_every_service_that_speaks_openai_s_language(context, openai_service, name):
    task = {"type": f"{AI}.completion.ChatCompletion", "messages": ASKED}
    found = await context.run(**task, provider=provider(name, openai_service.url))
    assert found.textOutput == openai_service.replies[0]
    assert openai_service.wire.last.headers["authorization"] == f"Bearer {'none' if name == 'LocalAI' else 'k'}"


@pytest.mark.parametrize(("name", "field"), [("MistralAI", "random_seed"), ("OpenRouter", "seed")])
async def test_a_seed_has_the_service_s_own_name(context, openai_service, name, field):
    task = {"type": f"{AI}.completion.ChatCompletion", "messages": ASKED, "configuration": {"seed": 7}}
    await context.run(**task, provider=provider(name, openai_service.url))
    told = openai_service.wire.last.json
    assert {key: value for key, value in told.items() if "seed" in key} == {field: 7}


class Authority:
    """Who signs certificates."""

    def __init__(self) -> None:
        self.key, self.name = ec.generate_private_key(ec.SECP256R1()), _named("Company CA")
        self.certificate = self._signed(self.name, self.key.public_key(), is_authority=True)
        self.pem = _pem(self.certificate)

    def issue(self, name: str) -> str:
        """A certificate and its key, as one PEM text."""
        key = ec.generate_private_key(ec.SECP256R1())
        shape = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return key.private_bytes(*shape).decode() + _pem(self._signed(_named(name), key.public_key()))

    def _signed(self, name, public, is_authority=False):
        now = datetime.now(UTC)
        usage = x509.KeyUsage(not is_authority, *[False] * 4, is_authority, is_authority, False, False)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        return made.sign(self.key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def secured(authority, tmp_path):
    """Puts a service behind TLS that wants to see a certificate of the same authority; its address."""

    def put(service) -> str:
        pem, ca = Path(tmp_path, "server.pem"), Path(tmp_path, "ca.pem")
        pem.write_text(authority.issue("server"))
        ca.write_text(authority.pem)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
        tls.load_cert_chain(pem)
        tls.verify_mode = ssl.CERT_REQUIRED
        service.server.socket = tls.wrap_socket(service.server.socket, server_side=True)
        return service.url.replace("http://127.0.0.1", "https://localhost")

    return put


SERVICES = {
    "OpenAI": OpenAiService,
    "GoogleGemini": GeminiService,
    "Anthropic": AnthropicService,
    "Ollama": lambda: OllamaService(lambda prompt: "Hello."),
}


@pytest.mark.parametrize("name", SERVICES)
async def test_certificates_of_one_s_own(context, authority, secured, name):
    service = SERVICES[name]()
    task = {"type": f"{AI}.completion.ChatCompletion", "messages": ASKED}
    with serving(service.answer) as service.wire:
        url = secured(service.wire)
        own = authority.issue("parley")
        found = await context.run(**task, provider=provider(name, url, clientPem=own, caPem=authority.pem))
        assert found.textOutput
        assert own in context.masked
        asked = len(service.wire.requests)
        for pems in ({"caPem": authority.pem}, {"clientPem": own}):
            with pytest.raises(TaskFailed, match=r"could not be reached|call to"):
                await context.run(**task, provider=provider(name, url, **pems))
        assert len(service.wire.requests) == asked


@pytest.mark.parametrize("pems", [{"caPem": "none"}, {"clientPem": "-----BEGIN"}])
async def test_what_is_no_certificate(context, openai_service, pems):
    task = {"type": f"{AI}.completion.ChatCompletion", "messages": ASKED}
    with pytest.raises(TaskFailed, match=f"`{next(iter(pems))}` is no certificate"):
        await context.run(**task, provider=provider("OpenAI", openai_service.url, **pems))


async def test_how_much_gemini_thinks(context, gemini_service):
    task = {"type": f"{AI}.completion.ChatCompletion", "messages": ASKED}
    task["provider"] = provider("GoogleGemini", gemini_service.url)
    for given, sent in (
        ({}, None),
        ({"thinkingEnabled": False}, {"thinkingBudget": 0}),
        (
            {"thinkingEnabled": True, "thinkingBudgetTokens": 512, "returnThinking": True},
            {"thinkingBudget": 512, "includeThoughts": True},
        ),
    ):
        await context.run(**task, configuration=given)
        config = gemini_service.asked[-1]["generationConfig"].get("thinkingConfig")
        assert (config and {to_camel(name): value for name, value in config.items()}) == sent  # Google reads both


async def test_how_much_anthropic_thinks(context, anthropic_service):
    task = {"type": f"{AI}.completion.ChatCompletion"}
    task["messages"] = [{"type": "SYSTEM", "content": "Be brief."}, *ASKED]
    task["provider"] = provider("Anthropic", anthropic_service.url)
    await context.run(**task, configuration={"maxToken": 100})
    first = anthropic_service.asked[-1]
    assert (first["max_tokens"], first["system"], "thinking" in first) == (100, "Be brief.", False)
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "signed"}
    anthropic_service.blocks = [thought]
    configuration = {"thinkingEnabled": True, "thinkingBudgetTokens": 2000, "returnThinking": True}
    found = await context.run(**task, configuration={**configuration, "promptCaching": True})
    asked = anthropic_service.asked[-1]
    assert asked["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert asked["max_tokens"] > 2000
    assert asked["system"] == [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    assert (found.thinking, found.textOutput) == ("Hm.", "Hello.")
    anthropic_service.replies.clear()
    anthropic_service.replies.extend([[("nothing", {})], "Done."])
    found = await context.run(**task, configuration=configuration)
    assert anthropic_service.asked[-1]["messages"][1]["content"][0] == thought  # goes back as it was signed


async def test_ollama_and_deepseek_tell_what_they_thought(context, ollama_service, openai_service):
    task = {"type": f"{AI}.completion.ChatCompletion", "messages": ASKED}
    configuration = {"thinkingEnabled": True, "returnThinking": True}
    ollama_service.thinking = openai_service.thinking = "Hm."
    found = await context.run(**task, provider=provider("Ollama", ollama_service.url), configuration=configuration)
    assert (found.thinking, ollama_service.wire.last.json["think"]) == ("Hm.", True)
    deepseek = provider("DeepSeek", openai_service.url)
    assert (await context.run(**task, provider=deepseek, configuration=configuration)).thinking == "Hm."
    assert (await context.run(**task, provider=deepseek)).thinking is None


async def test_what_qwen_and_glm_are_asked_beside(context):
    said = {"message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop", "index": 0}
    completion = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [said]}
    task = {"type": f"{AI}.completion.ChatCompletion", "messages": ASKED}
    with serving(lambda request: Answered(completion)) as service:
        qwen = {"enableSearch": True, "repetitionPenalty": 1.2, "maxTokens": 50}
        chosen = {"topK": 3, "maxToken": 9}
        await context.run(**task, provider=provider("DashScope", f"{service.url}/api/v1", **qwen), configuration=chosen)
        assert service.last.path == "/compatible-mode/v1/chat/completions"
        told = {name: service.last.json[name] for name in ("top_k", "enable_search", "repetition_penalty")}
        assert told == {"top_k": 3, "enable_search": True, "repetition_penalty": 1.2}
        assert service.last.json["max_tokens"] == 50
        await context.run(**task, provider=provider("ZhiPuAI", f"{service.url}/", stops=["END"], maxRetries=1))
        assert service.last.path == "/api/paas/v4/chat/completions"
        told = {name: service.last.json[name] for name in ("stop", "temperature", "max_tokens")}
        assert told == {"stop": ["END"], "temperature": 0.7, "max_tokens": 512}
        with pytest.raises(TaskFailed, match="has no `topK`"):
            await context.run(**task, provider=provider("ZhiPuAI", service.url), configuration={"topK": 3})


async def test_a_picture_by_a_server_of_ones_own(context, openai_service):
    task = {"type": f"{AI}.completion.ImageGeneration", "prompt": "A fox"}
    assert (await context.run(**task, provider=provider("LocalAI", openai_service.url))).imageUrl
