import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { has, output, ROOT } from './support.js';

const IMAGES = join(ROOT, 'deploy/images');
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'heimdex-images-'));
});

afterEach(() => rm(dir, { recursive: true }));

function run(script: string, args: readonly string[]) {
  return spawnSync(process.execPath, [join(IMAGES, script), ...args], { cwd: dir, env: {}, encoding: 'utf8' });
}

async function addPackage(path: string, content: object): Promise<void> {
  const file = join(dir, path, 'package.json');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(content));
}

describe('the bill of materials of an image', () => {
  beforeEach(async () => {
    await addPackage('.', { name: 'root', version: '1.2.3', workspaces: ['own', 'gone'] });
    await addPackage('own', { name: '@heimdex/own', version: '1.0.0' });
    await mkdir(join(dir, 'node_modules/@heimdex'), { recursive: true });
    await symlink('../../own', join(dir, 'node_modules/@heimdex/own'));
    await addPackage('node_modules/plain', { name: 'plain', version: '2.0.0', license: 'MIT' });
    await addPackage('node_modules/@scope/one', { name: '@scope/one', version: '3.0.0', license: 'MIT OR Apache-2.0' });
    await addPackage('node_modules/plain/node_modules/nested', { name: 'nested', version: '4.0.0' });
    await addPackage('own/node_modules/plain', { name: 'plain', version: '1.0.0' });
  });

  it('lists Node.js and every installed package: scoped, nested, of workspaces, in two versions', async () => {
    expect(run('sbom.js', ['heimdex-own']).status).to.equal(0);
    const bom = JSON.parse(await readFile(join(dir, 'sbom.cdx.json'), 'utf8'));
    expect(bom).to.include({ bomFormat: 'CycloneDX', specVersion: '1.5' });
    expect(bom.metadata.component).to.include({ name: 'heimdex-own', version: '1.2.3' });
    expect(bom.components.map(({ purl }: { purl: string }) => purl)).to.deep.equal([
      `pkg:generic/node@${process.versions.node}`,
      'pkg:npm/%40heimdex/own@1.0.0',
      'pkg:npm/%40scope/one@3.0.0',
      'pkg:npm/nested@4.0.0',
      'pkg:npm/plain@1.0.0',
      'pkg:npm/plain@2.0.0',
    ]);
  });

  it('is refused if it differs from what is installed', async () => {
    run('sbom.js', ['heimdex-own']);
    expect(run('sbom.js', ['--check']).status).to.equal(0);
    await addPackage('node_modules/later', { name: 'later', version: '1.0.0' });
    await rm(join(dir, 'node_modules/@scope'), { recursive: true });
    const { status, stderr } = run('sbom.js', ['--check']);
    expect(status).to.equal(1);
    expect(stderr).to.include('installed but not listed: pkg:npm/later@1.0.0');
    expect(stderr).to.include('listed but not installed: pkg:npm/%40scope/one@3.0.0');
  });
});

describe('the health check of the image', () => {
  let server: http.Server | https.Server;
  let status: number;

  const listen = async (created: http.Server | https.Server, host = '127.0.0.1'): Promise<string> => {
    server = created.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
      response.writeHead(request.url === '/readyz' ? status : 404).end('{"status":"starting"}');
    });
    server.listen(0, host);
    await once(server, 'listening');
    return String((server.address() as AddressInfo).port);
  };

  /** Runs the check without blocking the server. */
  const check = async (env: NodeJS.ProcessEnv): Promise<{ code: number; errors: string }> => {
    const child = spawn(process.execPath, [join(IMAGES, 'healthcheck.js')], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (part) => {
      errors += part;
    });
    const [code] = await once(child, 'close');
    return { code, errors };
  };

  afterEach(() => {
    server?.close();
  });

  it('passes only if the server is ready', async () => {
    const PORT = await listen(http.createServer());
    status = 200;
    expect(await check({ PORT })).to.deep.equal({ code: 0, errors: '' });
    status = 503;
    const refused = await check({ PORT });
    expect(refused.code).to.equal(1);
    expect(refused.errors).to.include('503 {"status":"starting"}');
    server.close();
    expect((await check({ PORT })).code).to.equal(1);
  });

  it('calls the address that the server listens on', async () => {
    const PORT = await listen(http.createServer(), '127.0.0.2');
    status = 200;
    expect(await check({ PORT, HOST: '127.0.0.2' })).to.deep.equal({ code: 0, errors: '' });
    expect((await check({ PORT: '1', HOST: '0.0.0.0' })).errors).to.include('http://127.0.0.1:1/readyz');
    expect((await check({ PORT: '1', HOST: '::' })).errors).to.include('http://127.0.0.1:1/readyz');
    expect((await check({ PORT: '1', HOST: '::1' })).errors).to.include('http://[::1]:1/readyz');
  });

  it('speaks TLS if the server does, with a certificate if callers must have one', async function () {
    if (!has('openssl', 'version')) this.skip();
    const [cert, key] = [join(dir, 'tls.crt'), join(dir, 'tls.key')];
    const kind = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x';
    output('openssl', ['req', '-x509', ...kind.split(' '), '-keyout', key, '-out', cert]);
    const files = { cert: await readFile(cert), key: await readFile(key) };
    const env = { TLS_CERT_FILE: cert, TLS_KEY_FILE: key };
    status = 200;
    const PORT = await listen(https.createServer(files));
    expect(await check({ ...env, PORT })).to.deep.equal({ code: 0, errors: '' });
    expect((await check({ PORT })).code).to.equal(1);
    server.close();
    const strict = https.createServer({ ...files, ca: files.cert, requestCert: true, rejectUnauthorized: true });
    const strictPort = await listen(strict);
    expect((await check({ ...env, PORT: strictPort })).code).to.equal(1);
    const presented = await check({ ...env, PORT: strictPort, TLS_CLIENT_CA_FILE: cert });
    expect(presented).to.deep.equal({ code: 0, errors: '' });
  });
});
