/** The methods as connect-node calls them: with an empty message, in place of which they read those of the request. */
import { create, type DescMessage, type DescMethod, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextValues,
  createContextKey,
  type HandlerContext,
  type MethodImpl,
} from '@connectrpc/connect';
import { InferenceError } from '../../errors.js';
import type { ServedMethod } from '../../services/service.js';
import type { HttpRequest } from '../calls/admit-request.js';
import type { OpenCall } from '../calls/call-tracker.js';
import type { MessageDecoder } from '../messages/message-decoder.js';
import { readMessage, readMessages } from '../messages/request-message.js';
import { toConnectError } from './error-response.js';

export const REQUEST = createContextKey<HttpRequest | undefined>(undefined, {
  description: 'the request and its call',
});
/** Otherwise connect-node has answered, for an error in the headers. */
export const CALLED = createContextKey(false, { description: 'whether the method was called' });

/** Throws for a call that was not admitted: an internal error. */
export function requestOf(values: ContextValues | undefined): HttpRequest {
  const own = values?.get(REQUEST);
  if (own === undefined) throw new Error('a method was called without its request');
  return own;
}

export function addRoute(router: ConnectRouter, served: ServedMethod, decoder: MessageDecoder): void {
  // The router types an implementation by its method's descriptor, which is not known here.
  router.rpc(served.method, implementation(served, decoder) as MethodImpl<DescMethod>);
}

function implementation(served: ServedMethod, decoder: MessageDecoder): unknown {
  const { input, output } = served.method;
  switch (served.kind) {
    case 'unary':
      return async (_empty: Message, context: HandlerContext) => {
        const own = requestIn(context);
        const { open } = own.call;
        try {
          const message = await readMessage(own, input, decoder);
          open.call.signal.throwIfAborted();
          // It is finished where its response is written.
          return create(output, await served.run(message, open.call));
        } catch (error) {
          throw toConnectError(open.finish(error));
        }
      };
    case 'server_streaming':
      return (_empty: Message, context: HandlerContext) => {
        const own = requestIn(context);
        const { open } = own.call;
        return stream(output, open, async function* () {
          const message = await readMessage(own, input, decoder);
          open.call.signal.throwIfAborted();
          yield* served.run(message, open.call);
        });
      };
    case 'bidi_streaming':
      return (empty: AsyncIterable<Message>, context: HandlerContext) => {
        const own = requestIn(context);
        const { open } = own.call;
        return stream(output, open, async function* () {
          // Throws connect-node's errors of the headers.
          for await (const _ of empty);
          const messages = readMessages(own, input, decoder);
          try {
            yield* served.run(messages, open.call);
          } finally {
            // One that is awaited still may never come.
            void messages.return().catch(() => {});
          }
        });
      };
  }
}

function requestIn({ values }: HandlerContext): HttpRequest {
  values.set(CALLED, true);
  return requestOf(values);
}

async function* stream(output: DescMessage, open: OpenCall, run: () => AsyncIterable<MessageInitShape<DescMessage>>) {
  try {
    open.call.signal.throwIfAborted();
    for await (const response of run()) {
      yield create(output, response);
      open.call.signal.throwIfAborted();
    }
    open.finish();
  } catch (error) {
    // connect-node's own, of the headers.
    if (error instanceof ConnectError) {
      open.finish(invalidHeader(), error.code === Code.Unimplemented ? 'UNIMPLEMENTED' : 'INVALID_ARGUMENT');
      throw error;
    }
    throw toConnectError(open.finish(error));
  } finally {
    // Stopped early: the caller is gone.
    open.cancel();
    open.finish(open.call.signal.reason);
  }
}

/** The caller gets connect-node's own message, which says which one. */
export function invalidHeader(): InferenceError {
  return new InferenceError('INVALID_ARGUMENT', 'The timeout in the headers is invalid, or the encoding is unknown.');
}
