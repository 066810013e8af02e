import { pipeline, Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createUnzip } from 'node:zlib';
import { DownloaderError, errorMessage } from '../errors.js';
import type { Asked } from './answers.js';
import type { HttpAnswer } from './http.js';
import { TransientError } from './retry.js';

/** What the encodings that servers use are undone by. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createUnzip,
  'x-gzip': createUnzip,
  deflate: createUnzip,
  br: createBrotliDecompress,
};
/** One after the other; a server has no reason for more. */
const MAX_CODINGS = 2;

/** The encodings of an answer's body, in the order in which they were applied; empty when the body is what it is. */
export function contentCodings(answer: Pick<HttpAnswer, 'header'>): readonly string[] {
  return (answer.header('content-encoding') ?? '')
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity');
}

/** Whether an answer is a part of an encoded file: a part of the encoded bytes, which is of no use. */
export function isEncodedPart(answer: Pick<HttpAnswer, 'header' | 'status'>): boolean {
  return answer.status === 206 && contentCodings(answer).length > 0;
}

/**
 * The body of an answer without the encoding that a server or proxy gave it although none was asked for. Its size is bounded
 * by whoever reads it, for it is decoded as it is read.
 *
 * @throws DownloaderError ANSWER_INVALID for an encoding that is not known; while it is read TransientError for a body that
 * is not of its encoding, or was cut.
 */
export function decodedBody(answer: HttpAnswer, asked: Asked): AsyncIterable<Buffer> {
  const codings = contentCodings(answer);
  if (codings.length === 0) return answer.body;
  const decoders = codings.toReversed().flatMap((coding) => DECODERS[coding] ?? []);
  if (decoders.length < codings.length || codings.length > MAX_CODINGS) {
    answer.close();
    throw new DownloaderError(
      'ANSWER_INVALID',
      `${answer.url.host} sent ${asked.what} in the encoding ${JSON.stringify(codings.join(', ').slice(0, 80))}, where none was asked for, and that one is not known. Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
    );
  }
  return decoded(answer, asked, decoders);
}

async function* decoded(
  answer: HttpAnswer,
  asked: Asked,
  decoders: readonly (() => Transform)[],
): AsyncGenerator<Buffer> {
  let stream: Readable = Readable.from(answer.body, { objectMode: false });
  for (const decoder of decoders) {
    // What fails is told to whoever reads the last of them.
    stream = pipeline(stream, decoder(), () => {});
  }
  try {
    for await (const part of stream) yield part as Buffer;
  } catch (error) {
    if (error instanceof TransientError || error instanceof DownloaderError) throw error;
    throw new TransientError(
      new DownloaderError(
        'ANSWER_INVALID',
        `${answer.url.host} sent ${asked.what} encoded, where that was not asked for, and it cannot be decoded (${errorMessage(error)}). Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
        { cause: error },
      ),
    );
  } finally {
    stream.destroy();
    answer.close();
  }
}
