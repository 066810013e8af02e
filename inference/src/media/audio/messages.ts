import type { ErrorCode } from '../../errors.js';
import type { DecoderChoice } from './decoders/create.js';
import type { DecodeAnswer, DecodeRequest } from './session.js';

/** Requests to the decoder thread: one at a time, each with one answer. */
export type ThreadRequest =
  | { readonly kind: 'open'; readonly choice: DecoderChoice }
  | ({ readonly kind: 'pull' } & DecodeRequest)
  | { readonly kind: 'close' };

export type ThreadAnswer =
  | { readonly kind: 'opened' | 'closed' }
  | ({ readonly kind: 'pulled' } & DecodeAnswer)
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly field?: string | undefined;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: string | undefined;
    };
