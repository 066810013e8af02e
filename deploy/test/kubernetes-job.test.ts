import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { DIR, hasKubectl, type Resource } from './kubernetes.js';
import { output, parseYaml, ROOT, read } from './support.js';

describe('the Job of the models', () => {
  let scratch: string;

  before(async function () {
    if (!hasKubectl()) this.skip();
    // Beside the others, because kustomize's paths are relative.
    scratch = await mkdtemp(join(ROOT, DIR, '.test-'));
  });

  after(async () => {
    if (scratch !== undefined) await rm(scratch, { recursive: true });
  });

  /** The name of the Job and the arguments of its downloader, in the overlay with a change. */
  async function jobOf(change: (overlay: string) => string): Promise<{ name: string; args: unknown }> {
    await writeFile(join(scratch, 'kustomization.yaml'), change(read(`${DIR}/shared-volume/kustomization.yaml`)));
    const resources = parseYaml<Resource>(output('kubectl', ['kustomize', scratch]));
    const job = resources.find(({ kind }) => kind === 'Job');
    const server = resources.find(({ kind }) => kind === 'Deployment')?.spec?.template?.spec.containers[0];
    // The name is that of the ConfigMap, so both programs have the same settings.
    expect(server?.envFrom).to.deep.equal([{ configMapRef: { name: job?.metadata.name } }]);
    return { name: job?.metadata.name ?? '', args: job?.spec?.template?.spec.initContainers?.[0]?.args };
  }

  it('has another name for other models and other images, because a Job cannot be changed', async () => {
    const model = '\nconfigMapGenerator: [{ name: models, behavior: merge, literals: [ASR_MODEL=base] }]\n';
    const jobs = [
      await jobOf((overlay) => overlay),
      await jobOf((overlay) => overlay + model),
      await jobOf((overlay) => overlay.replace('newTag: 0.1.0', 'newTag: 0.2.0')),
      await jobOf((overlay) => overlay.replaceAll('newTag: 0.1.0', 'newTag: 0.2.0')),
    ];
    expect(new Set(jobs.map(({ name }) => name)).size).to.equal(jobs.length);
    expect(await jobOf((overlay) => overlay)).to.deep.equal(jobs[0]);
  });

  it('fetches newer models with the component newer-models', async () => {
    const plain = await jobOf((overlay) => overlay);
    const newer = await jobOf((overlay) =>
      overlay.replace('components/shared-volume\n', '$&  - ../../components/newer-models\n'),
    );
    expect(plain.args).to.equal(undefined);
    expect(newer.args).to.deep.equal(['update']);
    expect(newer.name).to.not.equal(plain.name);
  });
});
