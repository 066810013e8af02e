/** The methods as connect-node calls them: with empty messages, in place of which they take the real ones from the context. */
import { create, type DescMessage, type DescMethod, type Message, type MessageShape } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  type HandlerContext,
  type MethodImpl,
} from '@connectrpc/connect';
import { InferenceError } from '../../errors.js';
import type { ServedMethod } from '../../services/service.js';
import type { HttpRequest } from '../calls/admit-request.js';
import type { OpenCall } from '../calls/call-tracker.js';
import { toConnectError } from './error-response.js';

export const REQUEST = createContextKey<HttpRequest | undefined>(undefined, {
  description: 'the request and its call',
});
export const MESSAGE = createContextKey<MessageShape<DescMessage> | undefined>(undefined, {
  description: 'its latest message',
});

export function addRoute(router: ConnectRouter, served: ServedMethod): void {
  // The router types an implementation by its method's descriptor, which is not known here.
  router.rpc(served.method, implementation(served) as MethodImpl<DescMethod>);
}

function implementation(served: ServedMethod): unknown {
  switch (served.kind) {
    case 'unary':
      return async (_empty: Message, context: HandlerContext) => {
        const open = callIn(context);
        const message = messageIn(context);
        try {
          open.call.signal.throwIfAborted();
          // It is finished where its response is written.
          return create(served.method.output, await served.run(message, open.call));
        } catch (error) {
          throw toConnectError(open.finish(error));
        }
      };
    case 'server_streaming':
      return (_empty: Message, context: HandlerContext) => {
        const open = callIn(context);
        const message = messageIn(context);
        return stream(served, open, () => served.run(message, open.call));
      };
    case 'bidi_streaming':
      return (empties: AsyncIterable<Message>, context: HandlerContext) => {
        const open = callIn(context);
        return stream(served, open, () => served.run(messagesIn(empties, context), open.call));
      };
  }
}

/** Throws for a call that was not admitted: an internal error. */
function callIn({ values }: HandlerContext): OpenCall {
  const own = values.get(REQUEST);
  if (own === undefined) throw new Error('a method was called without its call');
  return own.call.open;
}

function messageIn({ values }: HandlerContext): MessageShape<DescMessage> {
  const message = values.get(MESSAGE);
  if (message === undefined) throw new Error('a method was called without its message');
  return message;
}

async function* messagesIn(empties: AsyncIterable<Message>, context: HandlerContext) {
  for await (const _ of empties) yield messageIn(context);
}

async function* stream(served: ServedMethod, open: OpenCall, run: () => AsyncIterable<Parameters<typeof create>[1]>) {
  try {
    open.call.signal.throwIfAborted();
    for await (const response of run()) {
      yield create(served.method.output, response);
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
