import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { runHere, testEnvironment } from './support/program.js';
import { SPEECH_REPOSITORY, speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';

describe('the lock file of downloads that run at the same time', () => {
  const names = [SPEECH_REPOSITORY, 'acme/second', 'acme/third'];
  const { dir, hub } = useHub({ repositories: names.map((name) => ({ ...speechRepository(), name })), scope: 'suite' });

  it('names the models of each', async () => {
    const runs = names.map((name) => runHere([], testEnvironment(dir.path, hub.url, { ASR_MODEL: name })));
    for (const { status, stderr } of await Promise.all(runs)) expect(status, stderr).to.equal(0);
    const { models } = JSON.parse(await readFile(join(dir.path, 'cache', 'models.lock.json'), 'utf8'));
    expect(models.map(({ repository }: { repository: string }) => repository)).to.have.members(names);
  });
});
