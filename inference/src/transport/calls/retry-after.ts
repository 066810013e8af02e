import type { WireError } from '../../services/errors.js';

/** The header Retry-After, in whole seconds; none if the error has no time to retry. */
export function retryAfter({ retryAfterMs }: WireError): Readonly<Record<string, string>> {
  return retryAfterMs === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) };
}
