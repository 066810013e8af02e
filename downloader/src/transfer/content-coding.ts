import { pipeline, Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createUnzip } from 'node:zlib';
import { messageOf } from '@heimdex/common';
import { DownloaderError } from '../errors.js';
import type { RequestTarget } from './answers.js';
import type { HttpAnswer } from './http.js';
import { TransientError } from './retry.js';

/** Decoders of the common content encodings. */
const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', createUnzip],
  ['x-gzip', createUnzip],
  ['deflate', createUnzip],
  ['br', createBrotliDecompress],
]);
/** Maximum nested encodings; a server has no reason for more. */
const MAX_CODINGS = 2;

/** Returns the encodings of an answer's body in the order of application; empty if it is not encoded. */
export function contentCodings(answer: Pick<HttpAnswer, 'header'>): readonly string[] {
  return (answer.header('content-encoding') ?? '')
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity');
}

/** Returns whether an answer is a range of an encoded file: a range of the encoded bytes, which is useless. */
export function isEncodedPart(answer: Pick<HttpAnswer, 'header' | 'status'>): boolean {
  return answer.status === 206 && contentCodings(answer).length > 0;
}

/**
 * Decodes the body of an answer that a server or proxy encoded although no encoding was requested. The consumer limits its
 * size, since it is decoded while it is read.
 * Throws DownloaderError ANSWER_INVALID for an unknown encoding; while reading, TransientError for a corrupt or truncated
 * body.
 */
export function decodedBody(answer: HttpAnswer, target: RequestTarget): AsyncIterable<Buffer> {
  const codings = contentCodings(answer);
  if (codings.length === 0) return answer.body;
  const decoders = codings.toReversed().flatMap((coding) => DECODERS.get(coding) ?? []);
  if (decoders.length < codings.length || codings.length > MAX_CODINGS) {
    answer.close();
    throw new DownloaderError(
      'ANSWER_INVALID',
      `${answer.url.host} sent ${target.what} in the unknown encoding ${JSON.stringify(codings.join(', ').slice(0, 80))} although none was requested. Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
    );
  }
  return decoded(answer, target, decoders);
}

async function* decoded(
  answer: HttpAnswer,
  target: RequestTarget,
  decoders: readonly (() => Transform)[],
): AsyncGenerator<Buffer> {
  let stream: Readable = Readable.from(answer.body, { objectMode: false });
  for (const decoder of decoders) {
    // A failure reaches the consumer through the last decoder.
    stream = pipeline(stream, decoder(), () => {});
  }
  try {
    for await (const part of stream) yield part as Buffer;
  } catch (error) {
    if (error instanceof TransientError || error instanceof DownloaderError) throw error;
    throw new TransientError(
      new DownloaderError(
        'ANSWER_INVALID',
        `${answer.url.host} sent ${target.what} encoded although no encoding was requested, and it cannot be decoded (${messageOf(error)}). Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
        { cause: error },
      ),
    );
  } finally {
    stream.destroy();
    answer.close();
  }
}
