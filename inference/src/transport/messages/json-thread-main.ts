/** The thread that parses large JSON; started by json-thread.ts. */
import { parentPort } from 'node:worker_threads';
import { type DescMessage, toBinary } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { messageOf } from '@heimdex/common';
import { Health, InferenceService } from '@heimdex/gen';
import type { ThreadStarted } from '../../process/limited-thread.js';
import { ownThreadId } from '../../process/work-reading.js';
import { decodeJson } from './decode-json.js';
import type { JsonAnswer, JsonJob } from './json-thread.js';

/** Requests of the services, and arbitrary JSON. */
const inputs = new Map<string, DescMessage>(
  [InferenceService, Health]
    .flatMap(({ methods }) => methods.map(({ input }): DescMessage => input))
    .concat(ValueSchema)
    .map((input) => [input.typeName, input]),
);

parentPort?.postMessage({ kind: 'started', tid: ownThreadId() } satisfies ThreadStarted);
parentPort?.on('message', ({ typeName, bytes, limits }: JsonJob) => {
  try {
    const desc = inputs.get(typeName);
    if (desc === undefined) throw new Error(`${typeName} is no request`);
    const binary = toBinary(desc, decodeJson(desc, bytes, limits));
    parentPort?.postMessage({ kind: 'parsed', bytes: binary } satisfies JsonAnswer, [binary.buffer]);
  } catch (error) {
    parentPort?.postMessage({ kind: 'wrong', message: messageOf(error) } satisfies JsonAnswer);
  }
});
