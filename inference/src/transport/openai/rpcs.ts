/** The service's own methods, called with messages that were made from OpenAI's requests. */
import {
  create,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import type { Call } from '../../services/call.js';
import type { ServedMethod, ServedService } from '../../services/service.js';

/** Path of a method: `heimdex.inference.v1.InferenceService/EmbedText`. */
export function pathOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

export class Rpcs {
  readonly #methods: ReadonlyMap<string, ServedMethod>;

  constructor(services: readonly ServedService[]) {
    this.#methods = new Map(services.flatMap(({ methods }) => methods.map((method) => [method.path, method] as const)));
  }

  async unary<Method extends DescMethodUnary>(
    method: Method,
    request: MessageInitShape<Method['input']>,
    call: Call,
  ): Promise<MessageShape<Method['output']>> {
    const served = this.#methods.get(pathOf(method));
    if (served?.kind !== 'unary') throw new Error(`${pathOf(method)} is not served as unary`);
    const response = await served.run(create(method.input, request), call);
    return create(method.output, response) as MessageShape<Method['output']>;
  }

  async *stream<Method extends DescMethodBiDiStreaming>(
    method: Method,
    requests: readonly MessageInitShape<Method['input']>[],
    call: Call,
  ): AsyncGenerator<MessageShape<Method['output']>, void, void> {
    const served = this.#methods.get(pathOf(method));
    if (served?.kind !== 'bidi_streaming') throw new Error(`${pathOf(method)} is not served as a stream`);
    const messages = (async function* () {
      for (const request of requests) yield create(method.input, request);
    })();
    for await (const response of served.run(messages, call)) {
      yield create(method.output, response) as MessageShape<Method['output']>;
    }
  }
}
