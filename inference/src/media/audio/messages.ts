import type { ErrorCode } from '../../errors.js';
import type { DecoderChoice } from './decoders/create.js';
import type { DecodeAnswer, DecodeRequest } from './session.js';

/** To the decoding thread: one at a time, each answered once. */
export type ThreadRequest =
  | { readonly kind: 'open'; readonly choice: DecoderChoice }
  | ({ readonly kind: 'pull' } & DecodeRequest)
  | { readonly kind: 'close' };

/** Said by the thread once, before anything else: its number in /proc, where there is one. */
export interface ThreadStarted {
  readonly kind: 'started';
  readonly tid: number | undefined;
}

export type ThreadAnswer =
  | { readonly kind: 'opened' | 'closed' }
  | ({ readonly kind: 'pulled' } & DecodeAnswer)
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly field?: string | undefined;
      readonly cause?: string | undefined;
    };
