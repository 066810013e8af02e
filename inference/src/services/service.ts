/** Service definitions: the methods of a generated descriptor with their handlers, independent of the protocol. */
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

/** The handler of a method. Throws InferenceError; any other error is a defect. */
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

/** A method with its message types erased, as the transports use it. */
export type ServedMethod = {
  readonly method: DescMethod;
  readonly path: string;
  /** Its calls are answered while the server drains, and write no access log line. */
  readonly skipAccessLog: boolean;
} & (
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
}

/** `heimdex.inference.v1.InferenceService/EmbedText`. */
export function methodPath({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

/** Combines a descriptor with its handlers. Throws for a client-streaming method. */
export function defineService<Service extends DescService>(
  service: Service,
  handlers: ServiceHandlers<Service>,
  { skipAccessLog = false } = {},
): ServedService {
  const methods = service.methods.map((method): ServedMethod => {
    const kind = method.methodKind;
    if (kind === 'client_streaming') throw new Error(`${method.name}: client streaming is not supported`);
    const run = handlers[method.localName as keyof ServiceHandlers<Service>];
    // The handlers' types were checked against the descriptor above; a transport only passes messages through.
    return { method, path: methodPath(method), skipAccessLog, kind, run } as unknown as ServedMethod;
  });
  return { service, methods };
}

export function methodsByPath(services: readonly ServedService[]): ReadonlyMap<string, ServedMethod> {
  return new Map(services.flatMap(({ methods }) => methods.map((method) => [method.path, method] as const)));
}
