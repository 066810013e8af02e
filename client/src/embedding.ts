import { endianness } from 'node:os';
import { create } from '@bufbuild/protobuf';
import {
  type EmbeddingResult,
  EmbedImageRequestSchema,
  type EmbedImageResponse,
  EmbedTextRequestSchema,
  type EmbedTextResponse,
  InferenceService,
  TextModel,
  VectorEncoding,
} from '@heimdex/gen';
import {
  checkCount,
  type Model,
  malformed,
  modelName,
  type Outcome,
  provenance,
  sameModel,
  type Timing,
} from './answers.js';
import { expectBytes, expectList, expectText, meaningOf } from './arguments.js';
import { errorOfItem } from './convert-error.js';
import { defined } from './defined.js';
import { createError, type InferenceClientError } from './errors.js';
import type { CallOptions, MethodName } from './options.js';
import type { Caller } from './transport/caller.js';

/** Options of EmbedImage. */
export interface EmbedImageOptions extends CallOptions {
  /** Scale each vector to length 1. Default true. */
  readonly normalize?: boolean;
  /**
   * The model the vectors will be compared with. If the server runs another model, the call fails with
   * FAILED_PRECONDITION, reason MODEL_MISMATCH.
   */
  readonly expectModel?: Model;
}

/** Options of EmbedText. */
export interface EmbedTextOptions extends EmbedImageOptions {
  /**
   * `vision` (default): the text tower in the same vector space as embedImage, for text-to-image search. `text`: the
   * sentence embedder, for text-to-text search.
   */
  readonly model?: 'vision' | 'text';
  /** Truncate texts beyond the model's maximum length. Default true. If false, such an item fails. */
  readonly truncate?: boolean;
}

/** One vector. */
export interface Embedding {
  /** `dimensions` values, a view of {@link Embeddings.vectors}. */
  readonly vector: Float32Array;
  /** Tokens the model processed; 0 for images. */
  readonly tokenCount: number;
  /** Whether the text was truncated; false for images. */
  readonly truncated: boolean;
}

/** The vectors of a batch. */
export interface Embeddings {
  /** One per input, in order. */
  readonly results: readonly Outcome<Embedding>[];
  /** All vectors, row-major [inputs, dimensions], as `rank` expects them; zeros for a failed input. */
  readonly vectors: Float32Array;
  readonly dimensions: number;
  readonly model: Model;
  readonly timing: Timing;
}

/** Calls EmbedImage. */
export async function embedImage(
  caller: Caller,
  images: readonly Uint8Array[],
  options: EmbedImageOptions,
): Promise<Embeddings> {
  expectList('images', images, expectBytes);
  const request = create(EmbedImageRequestSchema, {
    images: images.map((content) => ({ content })),
    encoding: VectorEncoding.FLOAT32_LE,
    ...defined({ normalize: options.normalize }),
  });
  const answer = await caller.unary('EmbedImage', InferenceService.method.embedImage, request, options);
  return embeddings('EmbedImage', images.length, answer, options);
}

const MODELS = {
  vision: TextModel.VISION,
  text: TextModel.TEXT,
} as const satisfies Record<NonNullable<EmbedTextOptions['model']>, TextModel>;

/** Calls EmbedText. */
export async function embedText(
  caller: Caller,
  texts: readonly string[],
  options: EmbedTextOptions,
): Promise<Embeddings> {
  expectList('texts', texts, expectText);
  const request = create(EmbedTextRequestSchema, {
    texts: [...texts],
    model: meaningOf('model', options.model ?? 'vision', MODELS),
    encoding: VectorEncoding.FLOAT32_LE,
    ...defined({ normalize: options.normalize, truncate: options.truncate }),
  });
  const answer = await caller.unary('EmbedText', InferenceService.method.embedText, request, options);
  return embeddings('EmbedText', texts.length, answer, options);
}

function embeddings(
  method: MethodName,
  count: number,
  answer: EmbedImageResponse | EmbedTextResponse,
  { expectModel }: EmbedImageOptions,
): Embeddings {
  const { dimensions } = answer;
  const { model, timing } = provenance(answer);
  if (expectModel !== undefined && !sameModel(model, expectModel)) throw mismatch(method, expectModel, model);
  checkCount(method, count, answer.results.length);
  for (const { result } of answer.results) checkLength(method, result, dimensions);
  const vectors = new Float32Array(count * dimensions);
  const results = answer.results.map((result, index) =>
    outcome(method, result, vectors.subarray(index * dimensions, (index + 1) * dimensions)),
  );
  return { results, vectors, dimensions, model, timing };
}

function outcome(method: MethodName, { result }: EmbeddingResult, vector: Float32Array): Outcome<Embedding> {
  if (result.case === 'error') return { ok: false, error: errorOfItem(result.value) };
  if (result.case === undefined) throw malformed(method, 'a result without a vector or an error');
  const { float32Le, values, tokenCount, truncated } = result.value;
  if (float32Le.byteLength === vector.byteLength) copyLittleEndian(float32Le, vector);
  else vector.set(values);
  return { ok: true, value: { vector, tokenCount, truncated } };
}

/** Before memory is taken for the vectors: the dimensions may be any number. */
function checkLength(method: MethodName, result: EmbeddingResult['result'], dimensions: number): void {
  if (result.case !== 'embedding') return;
  const { float32Le, values } = result.value;
  if (float32Le.byteLength !== 4 * dimensions && values.length !== dimensions) {
    throw malformed(method, `a vector without ${dimensions} values`);
  }
}

const hostIsLittleEndian = endianness() === 'LE';

function copyLittleEndian(from: Uint8Array, to: Float32Array): void {
  new Uint8Array(to.buffer, to.byteOffset, to.byteLength).set(from);
  if (!hostIsLittleEndian) Buffer.from(to.buffer, to.byteOffset, to.byteLength).swap32();
}

function mismatch(method: MethodName, expected: Model, got: Model): InferenceClientError {
  return createError(
    'FAILED_PRECONDITION',
    `Expected vectors of ${modelName(expected)}, but the server runs ${modelName(got)}: vectors of two models cannot be compared`,
    { reason: 'MODEL_MISMATCH', method },
  );
}
