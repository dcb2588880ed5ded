"""`io.kestra.plugin.tika`: text and metadata of documents, by Apache Tika as a library that needs no Java."""

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import document_reading
from engine.tasks.core.runner import Process
from engine.tasks.extras import missing
from engine.tasks.property_types import OptionalInteger, OptionalText, Text
from engine.tasks.rows import lines_of
from engine.tasks.runners import WORK, Job
from engine.tasks.script_output import ScriptOutput

MOST_INSIDE = 1 << 30  # bytes of files inside of one document
MOST_MEMORY = 4 << 30  # bytes for reading one document
BODY = re.compile(r"<body>(.*)</body>", re.DOTALL)


class Parsed(Outputs):
    """What a document holds: its text, what is known about it, and the files inside of it by their names."""

    embedded: dict[str, str]
    metadata: dict[str, Any]
    content: str


class Parse(RunnableTask):
    """Read the text and the metadata of a document: PDF, office files, mail, pages, pictures and many more."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: text
type: io.kestra.plugin.tika.Parse
from: "{{ outputs.report.uri }}"
contentType: TEXT
store: false
""",
        """
id: scan
type: io.kestra.plugin.tika.Parse
from: "{{ inputs.scan }}"
contentType: TEXT
extractEmbedded: true
ocrOptions:
  strategy: OCR_AND_TEXT_EXTRACTION
  language: deu
""",
    )

    class Ocr(Part):
        """How text in pictures is read, by Tesseract."""

        strategy: Property[Literal["NO_OCR", "AUTO", "OCR_ONLY", "OCR_AND_TEXT_EXTRACTION"]] = "NO_OCR"
        enable_image_preprocessing: Property[bool] = False
        language: Property[OptionalText] = Field(default=None, description="As Tesseract names it, such as `eng`.")

    class Found(Outputs):
        """What was read, or the file of one row that holds it."""

        result: Parsed | None = None
        uri: StoredUri | None = None

    type: Literal["io.kestra.plugin.tika.Parse"]
    from_: Property[Text] = Field(alias="from")
    extract_embedded: Property[bool] = Field(default=False, description="Take out the files inside of it too.")
    content_type: Property[Literal["TEXT", "XHTML", "XHTML_NO_HEADER"]] = "XHTML"
    ocr_options: Ocr = Field(default_factory=Ocr)
    store: Property[bool] = True
    characters_limit: Property[OptionalInteger] = Field(
        default=None, description="A longer text fails the task; for `TEXT` only."
    )

    async def run(self, context: RunContext) -> Found:
        folder = context.working_dir / WORK / f"document-{context.task_run_id}"
        folder.mkdir(parents=True, exist_ok=True)
        told = await self._read(context, folder)
        content = await asyncio.to_thread((folder / "content").read_text, "utf-8")
        found = Parsed(
            embedded={name: await context.files.put(folder / file, name) for name, file in told["files"].items()},
            metadata=told["metadata"],
            content=self._shaped(content, told["metadata"]),
        )
        if not self.store:
            return self.Found(result=found)
        return self.Found(uri=await context.files.put("".join(lines_of([found.model_dump()])).encode(), "parsed.jsonl"))

    async def _read(self, context: RunContext, folder: Path) -> dict[str, Any]:
        if self.ocr_options.strategy != "NO_OCR" and shutil.which("tesseract") is None:
            context.log("Tesseract is not installed on this machine: text in pictures is not read.", "WARN")
        ask: document_reading.Ask = {
            "source": str(context.files.path(self.from_)),
            "is_xml": self.content_type != "TEXT",
            "most_characters": self._limit + 1 if self._limit >= 0 else -1,
            "most_bytes": MOST_INSIDE,
            "ocr": self.ocr_options.strategy,
            "language": self.ocr_options.language,
            "prepares_images": self.ocr_options.enable_image_preprocessing,
            "takes_files": self.extract_embedded,
        }
        # Isolated (-I): what lies beside that file, or in the working directory, must not stand for a library.
        words = [sys.executable, "-I", document_reading.__file__, json.dumps(ask), str(folder), str(MOST_MEMORY)]
        heard = ScriptOutput(context)
        job = Job(command=words, folder=context.working_dir, env={}, hear=heard.hear)
        try:
            ended = await Process(type="io.kestra.plugin.core.runner.Process").execute(job, context)
        finally:
            heard.end()
        if ended.exit_code != 0:
            raise TaskFailed(
                f"The document could not be read: reading it ended with exit code {ended.exit_code}.",
                fix=f"It may need more than {MOST_MEMORY >> 20:,} MB of memory: divide it, or take no files out.",
            )
        told: dict[str, Any] = json.loads(await asyncio.to_thread((folder / "told.json").read_text, "utf-8"))
        if told.get("starved"):
            raise TaskFailed(
                f"The document could not be read: that takes more than {MOST_MEMORY >> 20:,} MB of memory.",
                fix="Divide it, or take no files out.",
            )
        if library := told.get("missing"):
            raise missing(library, "tika")
        if problem := told.get("problem"):
            fix = f"Check that the file is whole, and can be read with {MOST_MEMORY >> 20:,} MB of memory."
            raise TaskFailed(f"The document could not be read: {problem}", fix=fix)
        if sealed := told.get("sealed"):
            context.log(f"Files are not taken out of {sealed or 'a document of this kind'}.", "WARN")
        if lost := told.get("lost"):
            context.log(f"Pictures that can't be read and are left out: {lost}.", "WARN")
        return {"files": {}, **told}

    def _shaped(self, content: str, metadata: dict[str, Any]) -> str:
        """The content as it was asked for; of a picture in which nothing was read, what is known about it."""
        if self.content_type == "XHTML":
            return content
        if self.content_type == "XHTML_NO_HEADER":
            content = body[1] if (body := BODY.search(content)) else ""
        elif 0 <= self._limit < len(content):
            raise TaskFailed(
                f"The document has more than {self._limit:,} characters of text.", fix="Raise `charactersLimit`."
            )
        if not content.strip() and str(metadata.get("Content-Type", "")).startswith("image/"):
            return "\n".join(f"{name}: {metadata[name]}" for name in sorted(metadata))
        return content

    @property
    def _limit(self) -> int:
        """How many characters of text are too few to fail; below zero: any number."""
        return -1 if self.characters_limit is None or self.content_type != "TEXT" else self.characters_limit
