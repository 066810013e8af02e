/** The thread that parses large JSON; started by json-thread.ts. */
import { parentPort } from 'node:worker_threads';
import { type DescMessage, toBinary } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { Health, InferenceService } from '@heimdex/gen';
import { decodeJson } from './decode-json.js';
import type { JsonJob, JsonOutcome, STARTED } from './json-thread.js';

/** Requests of the services, and arbitrary JSON. */
const inputs = new Map<string, DescMessage>(
  [InferenceService, Health]
    .flatMap(({ methods }) => methods.map(({ input }): DescMessage => input))
    .concat(ValueSchema)
    .map((input) => [input.typeName, input]),
);

parentPort?.postMessage('started' satisfies typeof STARTED);
parentPort?.on('message', ({ typeName, bytes, limits }: JsonJob) => {
  try {
    const desc = inputs.get(typeName);
    if (desc === undefined) throw new Error(`${typeName} is no request`);
    const binary = toBinary(desc, decodeJson(desc, bytes, limits));
    parentPort?.postMessage({ bytes: binary } satisfies JsonOutcome, [binary.buffer]);
  } catch (error) {
    const wrong = error instanceof Error ? error.message : String(error);
    parentPort?.postMessage({ wrong } satisfies JsonOutcome);
  }
});
