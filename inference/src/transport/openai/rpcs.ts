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

export class Rpcs {
  readonly #methods: ReadonlyMap<DescMethod, ServedMethod>;

  constructor(services: readonly ServedService[]) {
    this.#methods = new Map(
      services.flatMap(({ methods }) => methods.map((served) => [served.method, served] as const)),
    );
  }

  async unary<Method extends DescMethodUnary>(
    method: Method,
    request: MessageInitShape<Method['input']>,
    call: Call,
  ): Promise<MessageShape<Method['output']>> {
    const served = this.#methods.get(method);
    if (served?.kind !== 'unary') throw new Error(`${method.name} is not served as unary`);
    const response = await served.run(create(method.input, request), call);
    return create(method.output, response) as MessageShape<Method['output']>;
  }

  async *stream<Method extends DescMethodBiDiStreaming>(
    method: Method,
    requests: readonly MessageInitShape<Method['input']>[],
    call: Call,
  ): AsyncGenerator<MessageShape<Method['output']>, void, void> {
    const served = this.#methods.get(method);
    if (served?.kind !== 'bidi_streaming') throw new Error(`${method.name} is not served as a stream`);
    const messages = (async function* () {
      for (const request of requests) yield create(method.input, request);
    })();
    for await (const response of served.run(messages, call)) {
      yield create(method.output, response) as MessageShape<Method['output']>;
    }
  }
}
