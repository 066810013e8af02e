import { execFileSync } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { EXIT_CODES } from '../../src/exit-codes.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { NO_FACES, pocketEnv, pocketServer, pocketVolume } from '../fixtures/pocket.js';
import { startProgram } from '../fixtures/server-process.js';

const { embedText } = InferenceService.method;

/** Whether the tests can create namespaces on this machine. */
function canUnshare(...flags: string[]): boolean {
  try {
    execFileSync('unshare', [...flags, 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('offline', () => {
  it('serves without a network from a read-only volume', async function () {
    if (!canUnshare('-rnm')) {
      console.log('      skipped: namespaces of networks and mounts are not permitted here');
      return this.skip();
    }
    const volume = await pocketVolume();
    try {
      const { cacheDir } = volume;
      // The namespace has only a loopback interface; the caller runs in it as well.
      const script = [
        '(ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || true)',
        `mount --bind "${cacheDir}" "${cacheDir}"`,
        `mount -o remount,bind,ro "${cacheDir}"`,
        `! touch "${cacheDir}/x" 2>/dev/null`,
        'exec "$@"',
      ].join(' && ');
      const server = await startProgram(
        { ...pocketEnv(volume), ...NO_FACES },
        { command: ['unshare', '-rnm', 'sh', '-c', script, 'sh'] },
      );
      try {
        const body = JSON.stringify({ texts: ['a red heart'] });
        const answer = execFileSync('nsenter', [
          ...['-t', String(server.child.pid), '-U', '-n', '--preserve-credentials', process.execPath, '-e'],
          `fetch('${server.url}/heimdex.inference.v1.InferenceService/EmbedText', { method: 'POST', headers: { 'content-type': 'application/json' }, body: ${JSON.stringify(body)} }).then((r) => r.text()).then(console.log)`,
        ]);
        const { results } = JSON.parse(answer.toString()) as { results: { embedding: { values: number[] } }[] };
        expect(results[0]?.embedding.values).to.have.length(192);
        expect(await server.stop()).to.equal(EXIT_CODES.ok);
      } finally {
        await server.stop('SIGKILL');
      }
    } finally {
      await volume.remove();
    }
  });

  it('contacts no proxy and no hub, even if set in the environment, of which workers get what they need, and does not change the volume', async () => {
    let requests = 0;
    const trap = net.createServer((socket) => {
      requests += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(trap.address() as net.AddressInfo).port}`;
    const { server, volume, stop } = await pocketServer({
      ...NO_FACES,
      HF_ENDPOINT: url,
      HF_TOKEN: 'hf_secret',
      HTTP_PROXY: url,
      HTTPS_PROXY: url,
      HF_HUB_OFFLINE: '0',
      TRANSFORMERS_OFFLINE: '0',
    });
    const client = new GrpcClient(server.address);
    try {
      const before = await snapshot(volume.cacheDir);
      const pid = server.log.find((line) => typeof line.pid === 'number')?.pid;
      const names = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').map((entry) => entry.split('=')[0]);
      expect(names).not.to.include('HF_TOKEN');
      expect(names).to.include('HF_HUB_OFFLINE');
      await client.value(embedText, { texts: ['pizza'] });
      expect(await server.stop()).to.equal(EXIT_CODES.ok);
      expect(requests).to.equal(0);
      expect(await snapshot(volume.cacheDir)).to.deep.equal(before);
    } finally {
      client.close();
      trap.close();
      await stop();
    }
  });
});

/** Names, sizes and times of all files below a directory. */
async function snapshot(dir: string): Promise<unknown[]> {
  const names = (await readdir(dir, { recursive: true })).sort();
  return Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs } = await stat(join(dir, name));
      return [name, size, mtimeMs];
    }),
  );
}
