import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

/** A registry with one package, as npm's libraries ask it. */
export interface Registry {
  readonly url: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** Whether the package's archive is answered with 403. */
  refused: boolean;
  close(): Promise<void>;
}

/** Starts it. The package is `name@version` with these files. */
export async function startRegistry(
  name: string,
  version: string,
  files: Readonly<Record<string, Buffer | string>>,
): Promise<Registry> {
  const archive = pack();
  for (const [path, bytes] of Object.entries(files)) archive.entry({ name: `package/${path}` }, bytes);
  archive.finalize();
  const tarball = gzipSync(await buffer(archive));
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    requests.push(path);
    if (path === `/${name}`) {
      const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
      const dist = { tarball: `${url}/${name}/-/archive-${version}.tgz`, integrity };
      const document = { name, 'dist-tags': { latest: version }, versions: { [version]: { name, version, dist } } };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(document));
    } else if (path.endsWith('.tgz') && !registry.refused) {
      response.setHeader('content-type', 'application/octet-stream').end(tarball);
    } else {
      response.writeHead(path.endsWith('.tgz') ? 403 : 404).end('{}');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const registry: Registry = {
    url,
    requests,
    refused: false,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return registry;
}
