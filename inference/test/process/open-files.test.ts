import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { EXIT_CODES, TOO_FEW_FILES } from '../../src/exit-codes.js';
import { VERSION } from '../../src/version.js';
import { PROGRAM } from '../fixtures/server-process.js';
import { imageFixture } from '../support/image-files.js';

/** Leaves a few of the files that the limit allows, does what needs a thread, and prints the codes of its errors. */
const SCRIPT = `
import { closeSync, openSync } from 'node:fs';
const from = (path) => import(new URL(path, ${JSON.stringify(import.meta.url)}).href);
const { DecoderThread } = await from('../../src/media/audio/decoder-thread.js');
const { ImageThread } = await from('../../src/media/images/thread/image-thread.js');
const { JsonThread } = await from('../../src/transport/messages/json-thread.js');
const bmp = process.argv[1];
const files = [];
const fill = () => {
  try {
    for (;;) files.push(openSync('/dev/null'));
  } catch {}
};
const codes = new Set();
const attempts = [
  () => new DecoderThread().open({ format: 'flac', contentBytes: undefined }),
  () => new ImageThread().decode({ format: 'BMP', content: new Uint8Array(Buffer.from(bmp, 'hex')), width: 1, height: 1 }),
  () => new JsonThread({}).toBinary('google.protobuf.Value', new Uint8Array(Buffer.from('1')), { signal: new AbortController().signal }),
];
for (const attempt of attempts) {
  for (const left of [0, 1, 3, 6, 12]) {
    fill();
    for (const file of files.splice(0, left)) closeSync(file);
    try {
      await attempt();
    } catch (error) {
      codes.add(error.code ?? error.message);
    }
  }
}
process.stdout.write([...codes].join('\\n'));
process.exit();
`;

describe('Without open files left', () => {
  it('no thread starts, and neither audio, image nor JSON is to blame', async function () {
    if (process.platform === 'win32') return this.skip();
    const shell = [
      '-c',
      'ulimit -n 128 && exec "$0" --input-type=module -e "$1" "$2"',
      process.execPath,
      SCRIPT,
      imageFixture('x.bmp').toString('hex'),
    ];
    const { stdout } = await promisify(execFile)('sh', shell);
    expect(stdout).to.equal('QUEUE_FULL');
  });

  it('the program says which limit to raise, or needs no more', function () {
    if (process.platform === 'win32') return this.skip();
    const shell = ['-c', 'ulimit -n 64 && exec "$0" "$1" --version', process.execPath, PROGRAM];
    const { status, stdout, stderr } = spawnSync('sh', shell, { encoding: 'utf8' });
    // Node.js 24 reads one module at a time.
    if (status === EXIT_CODES.ok) expect(stdout).to.equal(`${VERSION}\n`);
    else {
      expect(stderr).to.equal(`heimdex-inference: ${TOO_FEW_FILES}\n`);
      expect(status).to.equal(EXIT_CODES.configuration);
    }
  });
});
