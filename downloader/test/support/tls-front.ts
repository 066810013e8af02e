import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A hub behind TLS, with a certificate that only its own authority knows. */
export interface TlsFront {
  readonly url: string;
  /** The same by the number of its host. */
  readonly numberUrl: string;
  /** File with the certificate to trust. */
  readonly caPath: string;
  close(): Promise<void>;
}

const CDN_PREFIX = '/__cdn';

/** Makes a certificate for `names` in a directory, and puts TLS in front of a hub and of the host it redirects to. */
export async function startTlsFront(
  dir: string,
  hubUrl: string,
  cdnUrl: string,
  names = 'DNS:localhost,IP:127.0.0.1',
): Promise<TlsFront> {
  const key = join(dir, 'key.pem');
  const caPath = join(dir, 'ca.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`];
  const how = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await promisify(execFile)('openssl', [...how, '-keyout', key, '-out', caPath, ...subject]);
  const server = createServer({ key: await readFile(key), cert: await readFile(caPath) }, (incoming, outgoing) => {
    const path = incoming.url ?? '/';
    const target = path.startsWith(CDN_PREFIX) ? `${cdnUrl}${path.slice(CDN_PREFIX.length)}` : `${hubUrl}${path}`;
    const { host: _, ...headers } = incoming.headers;
    const onward = httpRequest(target, { method: incoming.method, headers }, (answer) => {
      const { location } = answer.headers;
      const own = location?.startsWith(cdnUrl)
        ? { location: `${url}${CDN_PREFIX}${location.slice(cdnUrl.length)}` }
        : {};
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...own });
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `https://localhost:${port}`;
  return {
    url,
    numberUrl: `https://127.0.0.1:${port}`,
    caPath,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
