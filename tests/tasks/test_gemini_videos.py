"""Videos by Veo, at the wire: at Gemini one comes to us, at Vertex AI it goes into a bucket."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from engine.errors import TaskFailed
from tests.wire.google import TOKEN
from tests.wire.loopback import Answered, serving

TASK = {"type": "io.kestra.plugin.gemini.VideoGeneration", "model": "veo-3", "prompt": "A fox"}
OPERATION = "models/veo-3/operations/op1"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("engine.tasks.gemini.EVERY", timedelta(0))


async def test_a_video_is_made_and_fetched(make_context):
    looks = []

    def handle(request):
        assert request.headers["x-goog-api-key"] == "s3cret"
        if request.path == "/v1beta/models/veo-3:predictLongRunning":
            return Answered({"name": OPERATION, "metadata": {"at": "queue"}})
        if request.path == f"/v1beta/{OPERATION}":
            looks.append(1)
            if len(looks) < 2:
                return Answered({"name": OPERATION})
            sample = {"video": {"uri": f"{gemini.url}/v1beta/files/abc:download?alt=media", "encoding": "video/mp4"}}
            return Answered(
                {"name": OPERATION, "done": True, "response": {"generateVideoResponse": {"generatedSamples": [sample]}}}
            )
        assert (request.path, request.query) == ("/v1beta/files/abc:download", {"alt": "media"})
        return Answered(b"moving pictures" * 1000)

    with serving(handle) as gemini:
        context = make_context({"providers": {"gemini": {"base_url": gemini.url}}, "http": {"max_body": 1000}})
        found = await context.run(
            **TASK, apiKey="s3cret", negativePrompt="rain", seed=7, downloadFilePath="made/fox.mp4", duration=5
        )
        asked = gemini.requests[0].json
    assert asked["instances"] == [{"prompt": "A fox"}]
    assert asked["parameters"] == {"sampleCount": 1, "negativePrompt": "rain", "seed": 7}
    assert (context.working_dir / "made/fox.mp4").read_bytes() == b"moving pictures" * 1000
    assert await context.files.read(found.uri) == b"moving pictures" * 1000
    assert found.videoUri.endswith("/files/abc:download?alt=media")
    assert found.metadata == {"at": "queue"}
    assert "s3cret" in context.masked


async def test_a_video_that_is_refused(make_context):
    error = {"name": OPERATION, "done": True, "error": {"code": 3, "message": "the prompt is against the rules"}}
    with serving(lambda request: Answered(error)) as gemini:
        context = make_context({"providers": {"gemini": {"base_url": gemini.url}}})
        with pytest.raises(TaskFailed, match="No video was made: the prompt is against the rules"):
            await context.run(**TASK, apiKey="s3cret")
        with pytest.raises(TaskFailed, match="`apiKey` is missing"):
            await context.run(**TASK)
        with pytest.raises(TaskFailed, match="needs `outputGcsUri`, `project` and `location`"):
            await context.run(**TASK, vertexAI=True)


@pytest.mark.parametrize("odd", [[], {}, {"name": None}])
async def test_an_operation_that_is_none(make_context, odd):
    with serving(lambda request: Answered(odd)) as gemini:
        context = make_context({"providers": {"gemini": {"base_url": gemini.url}}})
        with pytest.raises(TaskFailed, match="Gemini answered with"):
            await context.run(**TASK, apiKey="s3cret")
        assert len(gemini.requests) == 1


async def test_a_token_goes_to_google_alone(context):
    where = {"vertexAI": True, "project": "p", "outputGcsUri": "gs://bucket/"}
    with pytest.raises(ValidationError, match="location"):
        await context.run(**TASK, **where, location="evil.test/")


async def test_a_video_at_vertex_ai(make_context, google_service, monkeypatch):
    name = "projects/p/locations/l/publishers/google/models/veo-3/operations/op1"

    def handle(request):
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        if request.path.endswith(":predictLongRunning"):
            return Answered({"name": name})
        assert request.path.endswith("models/veo-3:fetchPredictOperation")
        video = {"gcsUri": "gs://bucket/fox.mp4", "mimeType": "video/mp4"}
        return Answered({"name": name, "done": True, "response": {"videos": [video]}})

    async def token(context, account, scopes):
        return TOKEN

    monkeypatch.setattr("engine.tasks.gemini.access_token", token)
    with serving(handle) as vertex:
        context = make_context({"providers": {"vertex": {"base_url": vertex.url}}})
        where = {"vertexAI": True, "project": "p", "location": "l", "outputGcsUri": "gs://bucket/"}
        found = await context.run(**TASK, **where, durationInSeconds=8, includeAudio=True)
        asked = vertex.requests[0].json["parameters"]
    assert (asked["durationSeconds"], asked["generateAudio"], asked["storageUri"]) == (8, True, "gs://bucket/")
    assert (found.videoUri, found.mimeType, found.uri) == ("gs://bucket/fox.mp4", "video/mp4", None)
