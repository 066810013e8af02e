/** The thread that parses large JSON; json-thread.ts starts it. */
import { parentPort } from 'node:worker_threads';
import { toBinary } from '@bufbuild/protobuf';
import { Health, InferenceService } from '@heimdex/gen';
import { decodeJson } from './decode-json.js';
import type { JsonJob, JsonOutcome } from './json-thread.js';

const inputs = new Map(
  [InferenceService, Health].flatMap(({ methods }) => methods.map(({ input }) => [input.typeName, input] as const)),
);

parentPort?.on('message', ({ id, typeName, bytes, limits }: JsonJob) => {
  try {
    const desc = inputs.get(typeName);
    if (desc === undefined) throw new Error(`${typeName} is no request`);
    const binary = toBinary(desc, decodeJson(desc, bytes, limits));
    parentPort?.postMessage({ id, bytes: binary } satisfies JsonOutcome, [binary.buffer]);
  } catch (error) {
    const wrong = error instanceof Error ? error.message : String(error);
    parentPort?.postMessage({ id, wrong } satisfies JsonOutcome);
  }
});
