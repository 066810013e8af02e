/** The type and the compression of a body, before it is read. */
import type { IncomingMessage } from 'node:http';
import { InferenceError } from '../../errors.js';
import { bodyFormOf } from '../messages/request-message.js';
import type { Operation } from './operation.js';

/** The answer is 415 Unsupported Media Type. */
export class UnsupportedEncoding extends InferenceError {}

/**
 * Throws INVALID_ARGUMENT for a body that is not of the operation's type, UnsupportedEncoding for one that it cannot decompress: JSON may come
 * in gzip or br, forms as they are.
 */
export function assertBody(request: IncomingMessage, body: Operation['body']): void {
  if (body === undefined) return;
  const type = request.headers['content-type'] ?? '';
  if (type.split(/[;,\s]/, 1)[0] !== body) {
    const came = type === '' ? 'none' : JSON.stringify(type.slice(0, 100));
    throw new InferenceError('INVALID_ARGUMENT', `Expected content-type ${body}, got ${came}.`);
  }
  const coding = request.headers['content-encoding']?.trim() ?? '';
  if (coding === '' || /^identity$/i.test(coding)) return;
  if (body === 'application/json' && bodyFormOf(request).encoding !== undefined) return;
  const takes = body === 'application/json' ? 'gzip, br or none' : 'none: audio is compressed already';
  const given = JSON.stringify(coding.slice(0, 100));
  throw new UnsupportedEncoding(
    'INVALID_ARGUMENT',
    `Content-Encoding ${given} is not supported here, expected ${takes}.`,
  );
}
