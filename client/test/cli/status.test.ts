import { join } from 'node:path';
import { HealthCheckResponse_ServingStatus as Serving } from '@heimdex/gen';
import { expect } from 'chai';
import { useCli } from '../support/cli-fixture.js';
import { documentsIn } from '../support/run.js';

describe('heimdex', () => {
  const cli = useCli();
  const { run, file } = cli;

  describe('info and health', () => {
    it('show the loaded models', async () => {
      const { stdout } = await run(['info']);
      expect(stdout).to.contain('Heimdex inference 9.9.9, up 1 min 02 s');
      expect(stdout).to.match(/vision {2}org\/name@aaaaaaa q8 {2}siglip {11}2 {2}cpu/);
      expect(stdout).to.contain('64 MiB per message, 3 items per call, 2 h 00 min of audio');
      expect(JSON.parse((await run(['info', '--json'])).stdout)).to.include({ version: '9.9.9' });
    });

    it('show the models alone, with their memory', async () => {
      const { stdout, exitCode } = await run(['models']);
      expect(exitCode).to.equal(0);
      expect(stdout).to.match(/^ROLE +MODEL +FAMILY +DIMENSIONS +MEMORY +DEVICE$/m);
      expect(stdout).to.match(/^vision +org\/name@aaaaaaa q8 +siglip +2 .*cpu$/m);
      expect(stdout).to.include('heimdex-downloader models');
      const { models } = JSON.parse((await run(['models', '--json'])).stdout);
      expect(models[0]).to.include({ role: 'vision', family: 'siglip' });
    });

    it('have no colour on a terminal that knows no sequences', async () => {
      const sequence = '\u001b[';
      expect((await run(['health'], { terminal: true })).stdout).to.contain(sequence);
      expect((await run(['health'], { terminal: true, env: { TERM: 'dumb' } })).stdout).to.not.contain(sequence);
    });

    it('show every column on a terminal of unknown width that has room for them in 80 characters', async () => {
      expect((await run(['models'], { terminal: true, columns: 0 })).stdout).to.contain('FAMILY');
    });

    it('accept the common options before the command, and prefer those after it', async () => {
      expect(JSON.parse((await run(['--json', 'info'])).stdout)).to.include({ version: '9.9.9' });
      expect((await run(['-a', '127.0.0.1:1', '--timeout', '1', 'health'])).exitCode).to.equal(3);
      expect((await run(['-a', '127.0.0.1:1', 'health', '-a', cli.server.address])).exitCode).to.equal(0);
    });

    it('report the health by the exit status', async () => {
      expect(await run(['health'])).to.include({ exitCode: 0 });
      cli.server.health = Serving.NOT_SERVING;
      const result = await run(['health']);
      expect(result).to.include({ exitCode: 5 });
      expect(result.stdout).to.match(/^the server +NOT_SERVING$/m);
      expect((await run(['health', '--service', 'nobody'])).exitCode).to.equal(1);
    });

    it('accept a short method name, or any service name', async () => {
      const full = 'heimdex.inference.v1.InferenceService';
      for (const name of [
        'EmbedImage',
        'InferenceService',
        'InferenceService/EmbedImage',
        full,
        `${full}/EmbedImage`,
      ]) {
        for (const args of [[name], ['--service', name]]) {
          expect(await run(['health', ...args]), name).to.include({ exitCode: 0, stdout: 'SERVING\n' });
        }
        expect(cli.server.healthChecks.at(-1), name).to.match(
          /^heimdex\.inference\.v1\.InferenceService(\/EmbedImage)?$/,
        );
      }
      expect((await run(['health', 'embedimage'])).exitCode).to.equal(1);
      expect((await run(['health', 'EmbedImage', '--service', 'EmbedText'])).exitCode).to.equal(2);
      expect((await run(['health', 'EmbedText', '--watch', '--json'])).exitCode).to.equal(0);
      expect(cli.server.healthChecks.at(-1)).to.equal(`${full}/EmbedText`);
    });

    it('wait until the server is serving', async () => {
      cli.server.health = Serving.NOT_SERVING;
      expect((await run(['health', '--wait', '0.2'])).exitCode).to.equal(5);
      const waiting = run(['health', '--wait', '60', '--json']);
      cli.server.health = Serving.SERVING;
      const { exitCode, stdout } = await waiting;
      expect(exitCode).to.equal(0);
      expect(JSON.parse(stdout)).to.include({ status: 'SERVING' });
    });

    it('end a wait when the user interrupts it', async () => {
      cli.server.health = Serving.NOT_SERVING;
      const user = new AbortController();
      const waiting = run(['health', '--wait', '3600'], { signal: user.signal });
      while (cli.server.healthChecks.length === 0) await new Promise((resolve) => setImmediate(resolve));
      user.abort();
      expect(await waiting).to.include({ exitCode: 130, stderr: 'heimdex: interrupted\n' });
    });

    it('show each change', async () => {
      const { stdout } = await run(['health', '--watch', '--json']);
      expect(documentsIn(stdout).map(({ status }) => status)).to.deep.equal(['NOT_SERVING', 'SERVING']);
    });
  });

  describe('on a terminal', () => {
    it('shows progress on standard error, colours its results, and respects NO_COLOR', async () => {
      await file('a.png', '1,0');
      await file('b.png', '0,1');
      const index = join(cli.dir, 'p.index');
      const { stderr, stdout } = await run(['index', cli.dir, '--index', index], { terminal: true });
      expect(stderr).to.contain('1 of 2 images');
      expect(stderr.endsWith('\r\u001b[K')).to.equal(true);
      expect(stdout).to.match(/2 images/);
      const colored = await run(['search', '1,0', '--index', index], { terminal: true });
      expect(colored.stdout).to.contain('\u001b[36m');
      const plain = await run(['search', '1,0', '--index', index], { terminal: true, env: { NO_COLOR: '1' } });
      expect(plain.stdout).to.not.contain('\u001b[');
    });
  });
});
