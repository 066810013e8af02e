/** The official Python packages openai and langchain-openai against a server of the embedded models. Skips where they are not installed. */
import { join } from 'node:path';
import { runPython } from '@heimdex/hub';
import { expect } from 'chai';
import { type OpenAiServer, openAiServer, SIGLIP } from '../fixtures/openai-server.js';
import { ROOT } from '../fixtures/volume.js';

const PYTHON = process.env.HEIMDEX_TEST_PYTHON ?? 'python3';

const OPENAI = `
import json, os, openai
client = openai.OpenAI(api_key="none is needed", max_retries=0)
party = os.environ["PARTY"]
def transcribe(**options):
    with open(party, "rb") as file:
        return client.audio.transcriptions.create(file=file, model="whisper-1", **options)
with open(party, "rb") as file:
    events = list(client.audio.transcriptions.create(file=file, model="whisper-1", stream=True))
verbose = transcribe(response_format="verbose_json", timestamp_granularities=["segment"])
embed = lambda **options: client.embeddings.create(model="${SIGLIP}", **options)
def error(call):
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
floats = embed(input=["a red heart", "pizza"], encoding_format="float")
print(json.dumps({
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
}))`;

const LANGCHAIN = `
import json
from langchain_openai import OpenAIEmbeddings
embeddings = OpenAIEmbeddings(model="${SIGLIP}", api_key="none is needed", check_embedding_ctx_length=False)
documents = embeddings.embed_documents(["a red heart", "pizza"])
query = embeddings.embed_query("pizza")
print(json.dumps({
    "lengths": [len(one) for one in documents],
    "difference": max(abs(a - b) for a, b in zip(documents[1], query)),
}))`;

describe('the Python packages', function () {
  this.timeout(120_000);
  let served: OpenAiServer;

  before(async () => {
    served = await openAiServer();
  });
  after(() => served?.stop());

  const ask = async (script: string): Promise<unknown> =>
    runPython(PYTHON, script, {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      OPENAI_BASE_URL: served.baseUrl,
      PARTY: join(ROOT, 'demo/samples/speech/party.flac'),
    });

  /** Whether Python has a module; says so where it has none. */
  const has = async (module: string): Promise<boolean> => {
    const found = await ask(
      `import importlib.util as util; print("true" if util.find_spec("${module}") else "false")`,
    ).catch(() => false);
    if (found !== true)
      console.log(`      No Python with ${module}: it is not tested (HEIMDEX_TEST_PYTHON names one).`);
    return found === true;
  };

  it('openai: every response format, streaming, embeddings, models, errors', async function () {
    if (!(await has('openai'))) return this.skip();
    const answer = (await ask(OPENAI)) as Record<string, unknown>;
    expect(answer).to.include({ dimensions: 192, same: 0, deltas: answer.done });
    expect(String(answer.text).trim()).to.equal(answer.json);
    expect(answer.done).to.equal(answer.json);
    expect(answer.srt).to.match(/^1\n00:00:0/);
    expect(answer.vtt).to.match(/^WEBVTT\n\n/);
    expect(answer.verbose).to.deep.equal(['english', true, true, 0]);
    expect(answer.models).to.include.members(['whisper-1', SIGLIP]);
    expect(answer.errors).to.deep.equal([
      ['NotFoundError', 404, 'model_not_found', 'model'],
      ['BadRequestError', 400, 'invalid_argument', 'dimensions'],
      ['BadRequestError', 400, 'invalid_argument', 'response_format'],
    ]);
  });

  it('langchain-openai: OpenAIEmbeddings of documents and queries', async function () {
    if (!(await has('langchain_openai'))) return this.skip();
    const { lengths, difference } = (await ask(LANGCHAIN)) as { lengths: number[]; difference: number };
    expect(lengths).to.deep.equal([192, 192]);
    expect(difference).to.be.lessThan(1e-5);
  });
});
