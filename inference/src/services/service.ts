/** A service's methods, written once against its generated descriptor and served by every protocol. */
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { Call } from './call.js';

/** How one method is written. Throws InferenceError; anything else is a defect. */
export type MethodHandler<Method extends DescMethod> =
  Method extends DescMethodUnary<infer In, infer Out>
    ? (request: MessageShape<In>, call: Call) => Promise<MessageInitShape<Out>> | MessageInitShape<Out>
    : Method extends DescMethodServerStreaming<infer In, infer Out>
      ? (request: MessageShape<In>, call: Call) => AsyncIterable<MessageInitShape<Out>>
      : Method extends DescMethodBiDiStreaming<infer In, infer Out>
        ? (requests: AsyncIterable<MessageShape<In>>, call: Call) => AsyncIterable<MessageInitShape<Out>>
        : never;

export type ServiceHandlers<Service extends DescService> = {
  readonly [Name in keyof Service['method']]: MethodHandler<Service['method'][Name]>;
};

type AnyMessage = MessageShape<DescMessage>;
type AnyInit = MessageInitShape<DescMessage>;

/** A method with the types of its messages forgotten: what a transport works with. */
export type ServedMethod = { readonly method: DescMethod; readonly path: string } & (
  | { readonly kind: 'unary'; readonly run: (request: AnyMessage, call: Call) => Promise<AnyInit> | AnyInit }
  | {
      readonly kind: 'server_streaming';
      readonly run: (request: AnyMessage, call: Call) => AsyncIterable<AnyInit>;
    }
  | {
      readonly kind: 'bidi_streaming';
      readonly run: (requests: AsyncIterable<AnyMessage>, call: Call) => AsyncIterable<AnyInit>;
    }
);

export interface ServedService {
  readonly service: DescService;
  readonly methods: readonly ServedMethod[];
  /** Calls of it are answered while the server drains, and make no line in the access log. */
  readonly skipAccessLog: boolean;
}

/** Joins a descriptor and its handlers. Throws for a kind of method that no service here has. */
export function defineService<Service extends DescService>(
  service: Service,
  handlers: ServiceHandlers<Service>,
  options: { readonly skipAccessLog?: boolean } = {},
): ServedService {
  const methods = service.methods.map((method): ServedMethod => {
    const kind = method.methodKind;
    if (kind === 'client_streaming') throw new Error(`${method.name}: client streaming is not served`);
    const run = handlers[method.localName as keyof ServiceHandlers<Service>];
    // The handlers' types were checked against the descriptor above; a transport only passes messages through.
    return { method, path: `${service.typeName}/${method.name}`, kind, run } as unknown as ServedMethod;
  });
  return { service, methods, skipAccessLog: options.skipAccessLog ?? false };
}
