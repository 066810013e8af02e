/** What an operation of the API is: a line of the table that is routed, published and documented. */
import type { DescMethod } from '@bufbuild/protobuf';
import type { Models } from '../../services/engine.js';
import type { HttpRequest } from '../calls/admit-request.js';
import type { TextAnswer } from '../calls/send-text.js';
import type { MessageDecoder } from '../messages/message-decoder.js';
import type { JsonSchema, Parameters } from './parameters.js';
import type { Rpcs } from './rpcs.js';

/** What the operations work with. */
export interface OpenAiContext {
  readonly rpcs: Rpcs;
  readonly models: Models;
  readonly decoder: MessageDecoder;
  /** Seconds since 1970 at which the server began: `created` of its models. */
  readonly startedAtSeconds: number;
}

export type Answer =
  | TextAnswer
  /** Server-sent events, each as JSON. */
  | { readonly events: AsyncIterable<unknown> };

/** A request that was let in. */
export interface OpenAiRequest extends HttpRequest {
  /** The value of `{model}` in the path. */
  readonly rest: string;
}

export interface Operation {
  readonly id: string;
  readonly method: 'GET' | 'POST';
  /** May end with `{model}`, which matches all that is left. */
  readonly path: string;
  readonly summary: string;
  /** The rpc that the call is admitted, counted and logged as. */
  readonly rpc: DescMethod;
  readonly body: 'multipart/form-data' | 'application/json' | undefined;
  readonly parameters: Parameters;
  /** Media types of a good answer, with their schemas. */
  readonly answers: Readonly<Record<string, JsonSchema>>;
  run(request: OpenAiRequest, context: OpenAiContext): Promise<Answer>;
}
