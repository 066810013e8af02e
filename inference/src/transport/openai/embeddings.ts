/** POST /v1/embeddings: texts to vectors, and images in data URLs. */
import { type Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import { isObject, type JsonObject } from '@heimdex/common';
import { type EmbeddingResult, InferenceService, TextModel, VectorEncoding } from '@heimdex/gen';
import { InferenceError } from '../../errors.js';
import { fromStatus } from '../../services/errors.js';
import { jsonAnswer } from '../calls/send-text.js';
import { readMessage } from '../messages/request-message.js';
import { decodeDataUrl, isImageUrl } from './data-urls.js';
import { plainJson } from './json-value.js';
import { modelNamed } from './models.js';
import type { OpenAiContext, OpenAiRequest, Operation } from './operation.js';
import {
  choice,
  invalidParameter,
  kindOf,
  number,
  objectOf,
  type Parameter,
  PLAIN,
  parseParameters,
  required,
  text,
} from './parameters.js';

const { embedText, embedImage } = InferenceService.method;
const TOKENS = 'tokens are not taken, send text (LangChain: check_embedding_ctx_length=False).';

const input: Parameter<readonly string[] | undefined> = {
  ...PLAIN,
  schema: {
    description:
      'A text, or an array of at most MAX_BATCH_ITEMS of the server (256 by default). With the vision model also images, each as a data URL: data:image/png;base64,...',
    oneOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
  },
  parse(value, name) {
    if (value === undefined) return undefined;
    if (typeof value === 'string') return [value];
    if (!Array.isArray(value)) throw invalidParameter(name, `expected a string or an array, got ${kindOf(value)}.`);
    if (value.length === 0) throw invalidParameter(name, 'expected at least one text.');
    return value.map((one: unknown, index) => {
      if (typeof one === 'string') return one;
      const isTokens = typeof one === 'number' || Array.isArray(one);
      throw invalidParameter(`${name}[${index}]`, isTokens ? TOKENS : `expected a string, got ${kindOf(one)}.`);
    });
  },
};

const PARAMETERS = {
  model: required(text('Id of the text model or of the vision model, whose texts and images share one space.')),
  input: required(input),
  encoding_format: choice('base64: float32, little endian.', ['float', 'base64'], 'float'),
  dimensions: number('Vectors are not shortened: only their own length is accepted.', {
    min: 1,
    max: 1_000_000,
    integer: true,
  }),
  user: text('Accepted and ignored.'),
};

export const createEmbeddings: Operation = {
  id: 'createEmbeddings',
  method: 'POST',
  path: '/v1/embeddings',
  summary: 'Texts, or images, to vectors of length 1.',
  rpc: embedText,
  body: 'application/json',
  parameters: PARAMETERS,
  answers: {
    'application/json': objectOf({
      object: { const: 'list' },
      data: {
        type: 'array',
        items: objectOf({
          object: { const: 'embedding' },
          index: { type: 'integer' },
          embedding: { oneOf: [{ type: 'array', items: { type: 'number' } }, { type: 'string' }] },
        }),
      },
      model: { type: 'string' },
      usage: objectOf({ prompt_tokens: { type: 'integer' }, total_tokens: { type: 'integer' } }),
    }),
  },
  async run(request, context) {
    const body = await readJson(request, context);
    const values = parseParameters(PARAMETERS, body);
    const model = modelNamed(context.models, values.model, ['text', 'vision']);
    const dimensions = model.facts?.dimensions ?? 0;
    if (values.dimensions !== undefined && dimensions > 0 && values.dimensions !== dimensions) {
      throw invalidParameter('dimensions', `the vectors of ${model.files.id} have ${dimensions} dimensions.`);
    }
    const results = await embed(values.input, model.role === 'text', model.files.id, request, context);
    const asBase64 = values.encoding_format === 'base64';
    const data = results.map((result, index) => {
      const embedding = embeddingOf(result, index);
      const bytes = embedding.float32Le;
      const vector = asBase64 ? Buffer.from(bytes).toString('base64') : numbersOf(bytes);
      return { tokens: embedding.tokenCount, entry: { object: 'embedding', index, embedding: vector } };
    });
    const tokens = data.reduce((sum, one) => sum + one.tokens, 0);
    return jsonAnswer({
      object: 'list',
      data: data.map(({ entry }) => entry),
      model: model.files.id,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  },
};

/** Texts in one call, images in another; the results in the order of the input. */
async function embed(
  inputs: readonly string[],
  isTextModel: boolean,
  id: string,
  { call }: OpenAiRequest,
  { rpcs, decoder }: OpenAiContext,
): Promise<readonly EmbeddingResult[]> {
  const encoding = VectorEncoding.FLOAT32_LE;
  const isImage = inputs.map((one, index) => isImageUrl(one, `input[${index}]`));
  const image = isImage.indexOf(true);
  if (isTextModel && image >= 0) {
    throw invalidParameter(`input[${image}]`, `${id} reads texts only; images are the vision model's.`);
  }
  const texts = inputs.filter((_, index) => isImage[index] !== true);
  const textBytes = texts.reduce((sum, one) => sum + Buffer.byteLength(one), 0);
  if (textBytes > decoder.maxTextBytes) {
    throw invalidParameter('input', `it has more than ${decoder.maxTextBytes} bytes of text.`);
  }
  const images = inputs.flatMap((one, index) => (isImage[index] ? [decodeDataUrl(one, `input[${index}]`)] : []));
  call.body.keep(images.reduce((sum, { content }) => sum + content.byteLength, 0));
  const own = call.open.call;
  const model = isTextModel ? TextModel.TEXT : TextModel.VISION;
  const fromTexts = texts.length === 0 ? [] : (await rpcs.unary(embedText, { texts, model, encoding }, own)).results;
  const fromImages = images.length === 0 ? [] : (await rpcs.unary(embedImage, { images, encoding }, own)).results;
  const [textResults, imageResults] = [fromTexts.values(), fromImages.values()];
  return isImage.map((one) => (one ? imageResults : textResults).next().value as EmbeddingResult);
}

/** OpenAI has no errors of single items: the first one is the request's. */
function embeddingOf({ result }: EmbeddingResult, index: number) {
  if (result.case === 'embedding') return result.value;
  throw result.case === 'error'
    ? fromStatus(result.value, `input[${index}]`)
    : new Error('an item has neither vector nor error');
}

function numbersOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 4 }, (_, index) => view.getFloat32(index * 4, true));
}

/** The body as a JSON object, read and bounded as Connect's are. */
async function readJson(request: OpenAiRequest, { decoder }: OpenAiContext): Promise<JsonObject> {
  const message = await readMessage(request, ValueSchema, decoder).catch((error: unknown) => {
    if (!(error instanceof InferenceError) || !(error.cause instanceof Error)) throw error;
    throw new InferenceError('INVALID_ARGUMENT', `The body cannot be read as JSON: ${error.cause.message}.`);
  });
  const value = plainJson(message as Value);
  if (isObject(value)) return value;
  throw new InferenceError('INVALID_ARGUMENT', `Expected a JSON object as the body, got ${kindOf(value)}.`);
}
