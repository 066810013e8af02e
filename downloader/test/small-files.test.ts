import type { Fault } from '@heimdex/hub';
import { expect } from 'chai';
import { bertRepository } from './support/checkpoints.js';
import { lastLine, runHere } from './support/program.js';
import { checkpointEnvironment, NAME } from './support/use-checkpoints.js';
import { useHub } from './support/use-hub.js';

const MODULES = JSON.stringify([{ type: 'sentence_transformers.models.Transformer', path: '' }]);

describe("a checkpoint's small files, read before its weights are fetched,", () => {
  const { dir, hub } = useHub({
    repositories: [{ name: NAME, files: [...bertRepository().files, { path: 'modules.json', bytes: MODULES }] }],
  });

  const run = () => runHere([], checkpointEnvironment(dir.path, hub.url, {}));
  const faults = (file: string): Readonly<Record<string, Fault>> => ({
    'with a wrong byte': { on: { kind: 'bytes', file }, do: { type: 'flip', atByte: 5 } },
    'that a busy hub refuses': { on: { kind: 'resolve', file }, do: { type: 'status', status: 503 } },
    "that are a proxy's page": {
      on: { kind: 'resolve', file },
      do: { type: 'status', status: 200, body: '<html>Sign in</html>' },
    },
  });

  for (const file of ['config.json', 'modules.json']) {
    for (const [what, fault] of Object.entries(faults(file))) {
      it(`${what} are read again: ${file}`, async () => {
        hub.faults.add({ ...fault, times: 1 });
        const result = await run();
        expect(result.status, result.stderr).to.equal(0);
        // A wait is up to ten minutes long.
        expect(result.log.filter(({ event }) => event === 'retry')).to.have.length(1);
      });

      if (what.includes('busy')) continue;
      it(`${what} twice are an error of the network's bytes, not of the model: ${file}`, async () => {
        hub.faults.add(fault);
        const result = await run();
        expect(result.status, result.stderr).to.equal(7);
        expect(lastLine(result)).to.include({ code: 'HASH_MISMATCH' });
        expect(lastLine(result).msg).to.include(`${NAME} ${file} has wrong bytes`).and.not.include('Choose another');
        expect(hub.requests.filter({ kind: 'bytes', file: 'model.safetensors' })).to.deep.equal([]);
      });
    }
  }
});
