import { DownloaderError } from '../errors.js';
import { type RequestTarget, webPageHint } from './answers.js';
import { contentCodings, decodedBody, isEncodedPart } from './content-coding.js';
import type { HttpAnswer } from './http.js';
import type { ByteRange } from './ranges.js';
import { TransientError } from './retry.js';
import type { OpenedBytes } from './source.js';

/** Requests of one file's bytes from an HTTP server. */
export class FileRequests {
  #encodes = false;
  #cacheHeaders: Readonly<Record<string, string>> = {};

  /** @param ask - Sends a request for the file, and returns a 2xx answer. */
  constructor(
    readonly target: RequestTarget,
    readonly ask: (headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<HttpAnswer>,
  ) {}

  /** Has each further answer come from the server itself, past the caches on the way. */
  bypassCaches(): void {
    this.#cacheHeaders = { 'cache-control': 'no-cache' };
  }

  /** Requests a range of the file, or all of it. A range of an encoded file is useless: such a server is asked for the whole file from then on. */
  async open(range: ByteRange | undefined, signal: AbortSignal): Promise<OpenedBytes> {
    const isPart = range !== undefined && !this.#encodes;
    const part = isPart ? { range: `bytes=${range.start}-${range.end - 1}` } : {};
    const answer = await this.ask({ ...part, ...this.#cacheHeaders }, signal);
    if (!isEncodedPart(answer)) return openedBytes(answer, this.target);
    answer.close();
    if (this.#encodes) throw encodedPart(answer, this.target);
    this.#encodes = true;
    return this.open(undefined, signal);
  }
}

/** Returns the error for an encoded range where the whole file was requested. */
function encodedPart(answer: HttpAnswer, target: RequestTarget): DownloaderError {
  return new DownloaderError(
    'ANSWER_INVALID',
    `${answer.url.host} sent an encoded range of ${target.what}, where the whole file was requested. Check HF_ENDPOINT and the proxy variables, then run: heimdex-downloader download`,
  );
}

/** Returns the bytes of a 200 or 206 answer with their position, decoding a whole file. */
function openedBytes(answer: HttpAnswer, target: RequestTarget): OpenedBytes {
  const body = decodedBody(answer, target);
  const close = () => answer.close();
  if (answer.status !== 206) {
    // For an encoded body this is the encoded length.
    const length = contentCodings(answer).length > 0 ? undefined : answer.header('content-length');
    const totalBytes = length === undefined ? undefined : Number(length);
    return { start: 0, totalBytes, ranged: false, webPage: webPageHint(answer), body, close };
  }
  const content = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.header('content-range') ?? '');
  if (content === null) {
    answer.close();
    throw new TransientError(
      new DownloaderError(
        'ANSWER_INVALID',
        `${answer.url.host} sent a range of ${target.what} without Content-Range. Check the proxy variables, then run: heimdex-downloader download`,
      ),
    );
  }
  const [, first, last, total] = content;
  const start = Number(first);
  return {
    start,
    totalBytes: total === '*' ? undefined : Number(total),
    ranged: true,
    // A body without a length ends with an empty chunk, which Squid never sends after a range.
    body: answer.header('content-length') === undefined ? firstBytes(body, Number(last) + 1 - start) : body,
    close,
  };
}

/** Ends after this number of bytes, whatever may follow. */
async function* firstBytes(body: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count;
  for await (const part of body) {
    yield part;
    left -= part.length;
    if (left <= 0) return;
  }
}
