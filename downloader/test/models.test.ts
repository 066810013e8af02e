import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { runHere } from './support/program.js';
import { SPEECH_REPOSITORY } from './support/repositories.js';
import { useHub } from './support/use-hub.js';

describe('heimdex-downloader models', () => {
  const { dir, hub, env } = useHub({ scope: 'suite' });

  it('shows the facts of the manifest without a request: languages, size, memory, licence', async () => {
    const { status, stdout, stderr } = await runHere(['models'], env({ ASR_MODEL: 'medium', FEATURE_FACE: 'true' }));
    expect(status, stderr).to.equal(0);
    expect(stdout).to.match(/^ROLE +NAME +LANGUAGES +SIZE +MEMORY +LICENCE +ON THE VOLUME +CONFIGURED$/m);
    expect(stdout).to.match(/^speech +medium +99 languages +890 MB +1\.13 GB +Apache-2\.0 +- +int8$/m);
    expect(stdout).to.match(/^speech +moonshine-tiny +English +28\.2 MB +- +MIT +- +-$/m);
    expect(stdout).to.match(/^faces +yunet +- +233 kB +- +MIT +- +fp32$/m);
    expect(hub.requests.filter({})).to.deep.equal([]);
  });

  it("shows what is on the volume, including models of the user's manifest", async () => {
    const manifest = join(dir.path, 'models.json');
    const model = { name: 'mine', id: SPEECH_REPOSITORY, role: 'speech', family: 'whisper', fileSet: 'whisper' };
    const sources = [{ type: 'hf', repository: SPEECH_REPOSITORY }];
    const facts = { languages: 'Korean', memoryBytes: 1000, licence: 'MIT', sources };
    await writeFile(manifest, JSON.stringify({ formatVersion: 1, models: [{ ...model, ...facts }] }));
    const own = env({ MODELS_MANIFEST: manifest, ASR_MODEL: 'mine', FEATURE_FACE: 'false', FEATURE_VAD: 'false' });
    const download = await runHere([], own);
    expect(download.status, download.stderr).to.equal(0);
    const { models } = JSON.parse((await runHere(['models', '--json'], own)).stdout);
    expect(models[0]).to.deep.include({ name: 'mine', languages: 'Korean', configured: 'q8', memoryBytes: 1000 });
    expect(models[0].present[0]).to.have.property('variant', 'q8');
    expect(models[0].bytes).to.equal(models[0].present[0].bytes).and.to.be.above(700_000);
    expect(models.filter(({ present }: { present: unknown[] }) => present.length > 0)).to.have.length(1);
  });

  it('says of two models of one name which is configured', async () => {
    const manifest = join(dir.path, 'models.json');
    const sources = [{ type: 'hf', repository: SPEECH_REPOSITORY }];
    const mine = { name: 'mine', id: SPEECH_REPOSITORY, sources };
    const models = [
      { ...mine, role: 'speech', family: 'whisper', fileSet: 'whisper' },
      { ...mine, role: 'vision', family: 'siglip', fileSet: 'siglip' },
    ];
    await writeFile(manifest, JSON.stringify({ formatVersion: 1, models }));
    const own = env({ MODELS_MANIFEST: manifest, ASR_MODEL: 'mine', VISION_MODEL_NAME: 'none' });
    const shown = JSON.parse((await runHere(['models', '--json'], own)).stdout).models;
    const named = shown.filter(({ name }: { name: string }) => name === 'mine');
    expect(named.map(({ role, configured }: Record<string, string>) => [role, configured])).to.deep.equal([
      ['speech', 'q8'],
      ['vision', null],
    ]);
  });
});
