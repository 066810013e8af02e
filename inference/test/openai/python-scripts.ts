/**
 * What the official Python packages openai and langchain-openai do against a server of the embedded models, printed as JSON. Null for a
 * package that is not installed. One script, as the import of openai, which langchain-openai needs too, takes a second.
 */
import { SIGLIP } from '../fixtures/pocket.js';

export const PACKAGES = `
import json, os
try:
    import openai
except ImportError:
    print('{"openai": null, "langchain": null}')
    raise SystemExit
client = openai.OpenAI(api_key="none is needed", max_retries=0)
speech = os.environ["SPEECH"]
def transcribe(**options):
    with open(speech, "rb") as file:
        return client.audio.transcriptions.create(file=file, model="whisper-1", **options)
with open(speech, "rb") as file:
    events = list(client.audio.transcriptions.create(file=file, model="whisper-1", stream=True))
verbose = transcribe(response_format="verbose_json", timestamp_granularities=["segment"])
embed = lambda **options: client.embeddings.create(model="${SIGLIP}", **options)
def error(call):
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
floats = embed(input=["a red heart", "pizza"], encoding_format="float")
answer = {
    "json": transcribe().text,
    "text": transcribe(response_format="text"),
    "srt": transcribe(response_format="srt"),
    "vtt": transcribe(response_format="vtt"),
    "verbose": [verbose.language, verbose.duration > 0, len(verbose.segments) > 0, verbose.segments[0].id],
    "deltas": "".join(event.delta for event in events if event.type == "transcript.text.delta").strip(),
    "done": events[-1].text,
    "same": max(abs(a - b) for a, b in zip(floats.data[1].embedding, embed(input=["a red heart", "pizza"]).data[1].embedding)),
    "dimensions": len(floats.data[0].embedding),
    "models": [model.id for model in client.models.list()],
    "errors": [
        error(lambda: client.models.retrieve("gpt-4")),
        error(lambda: embed(input="one", dimensions=8)),
        error(lambda: transcribe(response_format="diarized_json")),
    ],
}
try:
    from langchain_openai import OpenAIEmbeddings
    embeddings = OpenAIEmbeddings(model="${SIGLIP}", api_key="none is needed", check_embedding_ctx_length=False)
    documents = embeddings.embed_documents(["a red heart", "pizza"])
    query = embeddings.embed_query("pizza")
    langchain = {
        "lengths": [len(one) for one in documents],
        "difference": max(abs(a - b) for a, b in zip(documents[1], query)),
    }
except ImportError:
    langchain = None
print(json.dumps({"openai": answer, "langchain": langchain}))`;
