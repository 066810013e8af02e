/** A form with one file, read within what its call may hold. Every part of it is bounded. */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { KIB, messageOf } from '@heimdex/common';
import { InferenceError } from '../../errors.js';
import type { HttpRequest } from '../calls/admit-request.js';
import { MessageBuffer } from '../messages/message-buffer.js';
import { receiveBody } from '../messages/receive-body.js';
import { invalidParameter } from './parameters.js';

const MAX_FIELDS = 64;
const MAX_FIELD_BYTES = 64 * KIB;
const MAX_HEADER_PAIRS = 32;
const MAX_HEADER_BYTES = 16 * KIB;
/** RFC 2046 allows 70; the parser takes these. */
const MAX_BOUNDARY_CHARACTERS = 250;
/** A charset with a character for each byte. */
const BYTES = 'latin1';
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface Form {
  /** Texts by name, a trailing `[]` left out; in the order in which they came. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  /** Undefined: none was sent. */
  readonly file: Uint8Array | undefined;
}

/** Rejects with INVALID_ARGUMENT for what is no such form, MESSAGE_TOO_LARGE or QUEUE_FULL; with the call's reason when it is over. */
export function readForm(exchange: HttpRequest, fileField: string): Promise<Form> {
  const { request, call } = exchange;
  const { body } = call;
  return new Promise<Form>((resolve, reject) => {
    const parser = parserOf(request, body.maxBytes);
    const content = new MessageBuffer(body.maxBytes);
    request.pipe(parser);
    const arriving = receiveBody(exchange, {
      push: (chunk) => body.receive(chunk.byteLength),
      failed: (error) => {
        request.unpipe(parser);
        content.clear();
        reject(error);
      },
    });
    collectParts(parser, fileField, content, {
      failed: arriving.fail,
      done: (form) => {
        arriving.done();
        resolve(form);
      },
    });
  });
}

/** Collects the parts that the parser finds, the file's bytes in `content`. */
function collectParts(
  parser: BusboyInstance,
  fileField: string,
  content: MessageBuffer,
  { failed, done }: { failed(error: unknown): void; done(form: Form): void },
): void {
  const parts = watchParts(parser);
  const fields = new Map<string, string[]>();
  let hasFile = false;
  parser.on('field', (name: string | undefined, value, _nameCut, cut) => {
    if (name === undefined || name === '') return failed(malformed('a part has no name'));
    if (name === fileField) return failed(invalidParameter(name, FILE_AS_TEXT));
    if (cut) return failed(invalidParameter(name, `a field has at most ${MAX_FIELD_BYTES} bytes.`));
    const text = parts.textOf(value);
    if (text === undefined) return failed(invalidParameter(name, 'it is not valid UTF-8.'));
    const key = name.replace(/\[\]$/, '');
    fields.set(key, [...(fields.get(key) ?? []), text]);
  });
  parser.on('file', (name: string | undefined, stream) => {
    stream.on('error', (error) => failed(malformed(error)));
    if (name !== fileField) {
      stream.resume();
      if (name === undefined || name === '') return failed(malformed('a part has no name'));
      return failed(invalidParameter(name, `unexpected file; the audio goes into '${fileField}'.`));
    }
    if (hasFile) {
      stream.resume();
      return failed(invalidParameter(fileField, 'expected one file.'));
    }
    hasFile = true;
    stream.on('data', (chunk: Buffer) => {
      try {
        content.push(chunk);
      } catch (error) {
        failed(error);
      }
    });
  });
  for (const limit of ['fieldsLimit', 'partsLimit'] as const) {
    parser.on(limit, () => failed(malformed(`it has more than ${MAX_FIELDS} fields`)));
  }
  parser.on('error', (error) => failed(malformed(error)));
  parser.on('finish', () => {
    const texts = [...fields.values()].reduce((sum, { length }) => sum + length, 0);
    if (texts + (hasFile ? 1 : 0) < parts.count) return failed(malformed(UNREADABLE_PART));
    done({ fields, file: hasFile ? content.take() : undefined });
  });
}

const FILE_AS_TEXT = "expected a file: its part needs a filename, as curl's -F file=@audio.mp3 sends it.";

const UNREADABLE_PART =
  'a part cannot be read, expected directly after the line of its boundary: Content-Disposition: form-data; name="..."';

/** Private parts of @fastify/busboy. The version is pinned, and tests fail if they differ. */
interface Internals {
  readonly _parser: { readonly parser: EventEmitter & { readonly _hparser: HeaderParser } };
}

/** Parses the headers of a part, which it has gathered: all that is between the boundary and the content. */
interface HeaderParser {
  buffer: string;
  _parseHeader(): void;
}

interface PartsSeen {
  /** The parser passes over those that it cannot read: a parameter would be lost without a word. */
  readonly count: number;
  /** The text of the field that has just come; undefined: it is not valid UTF-8. */
  textOf(value: string): string | undefined;
}

/** Parts without a charset, or in UTF-8, are taken as bytes: the parser would replace what it cannot decode by a character that texts may have. */
function watchParts(parser: BusboyInstance): PartsSeen {
  let count = 0;
  let isUtf8 = true;
  const dicer = (parser as unknown as Internals)._parser.parser;
  const headers = dicer._hparser;
  const parse = headers._parseHeader.bind(headers);
  headers._parseHeader = () => {
    // White space behind the boundary belongs to its line (RFC 2046, section 5.1.1: transport padding).
    headers.buffer = headers.buffer.replace(/^[ \t]+(?=\r\n)/, '');
    parse();
  };
  dicer.prependListener('part', (part: EventEmitter) => {
    count += 1;
    part.once('header', (header: Record<string, string[]>) => {
      const [type = ''] = header['content-type'] ?? [];
      const [, charset = 'utf-8'] = /;\s*charset="?([^";\s]+)/i.exec(type) ?? [];
      isUtf8 = /^utf-?8$/i.test(charset);
      if (isUtf8 && type !== '') header['content-type'] = [type.replace(/;.*/, '')];
    });
  });
  return {
    get count() {
      return count;
    },
    textOf(value) {
      if (!isUtf8) return value.includes('\ufffd') ? undefined : value;
      try {
        return UTF8.decode(Buffer.from(value, BYTES));
      } catch {
        return undefined;
      }
    },
  };
}

function parserOf({ headers }: IncomingMessage, maxBytes: number): BusboyInstance {
  const type = headers['content-type'] ?? '';
  const [, boundary = ''] = /;\s*boundary="?([^";]*)/i.exec(type) ?? [];
  if (boundary.length > MAX_BOUNDARY_CHARACTERS)
    throw malformed('its boundary is too long, expected at most 70 characters');
  try {
    return Busboy({
      headers: { ...headers, 'content-type': type },
      defCharset: BYTES,
      limits: {
        // The second one is refused by its name.
        files: 2,
        fileSize: maxBytes,
        fields: MAX_FIELDS,
        fieldSize: MAX_FIELD_BYTES,
        parts: MAX_FIELDS + 2,
        headerPairs: MAX_HEADER_PAIRS,
        headerSize: MAX_HEADER_BYTES,
      },
    });
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause: unknown): InferenceError {
  const what = messageOf(cause);
  return new InferenceError('INVALID_ARGUMENT', `The body cannot be read as multipart/form-data: ${what}.`);
}
