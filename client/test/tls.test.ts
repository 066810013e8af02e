import net from 'node:net';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { GetServerInfoResponseSchema, InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { createInferenceClient, type InferenceClientOptions } from '../src/index.js';
import { type KeyPair, makeCertificates } from './support/certificates.js';
import { closedAfterEach } from './support/closed-after-each.js';
import { failureOf } from './support/failure-of.js';
import { answering, type FakeService, startFakeService } from './support/fake-service.js';
import { listen } from './support/listen.js';
import { heimdex } from './support/run.js';

const NAME = 'inference.test';

describe('an encrypted connection', () => {
  let ca: KeyPair;
  let server: KeyPair;
  let expired: KeyPair;
  let own: KeyPair;
  let service: FakeService;
  let credentials: ServerCredentials;
  const open = closedAfterEach();

  before(async () => {
    ({ ca, server, expired, client: own } = await makeCertificates(NAME));
    credentials = ServerCredentials.createSsl(
      Buffer.from(ca.cert),
      [{ cert_chain: Buffer.from(server.cert), private_key: Buffer.from(server.key) }],
      true,
    );
    const getServerInfo = answering(GetServerInfoResponseSchema, { version: '1' });
    service = await startFakeService([[InferenceService, { getServerInfo }]], { credentials });
  });
  after(() => service.close());

  const connect = (options: InferenceClientOptions) =>
    open(createInferenceClient({ retry: { maxAttempts: 1 }, ...options }));

  it('trusts the given authority and sends its client certificate', async () => {
    const client = connect({ address: `https://${service.address}`, tls: { ca: ca.cert, ...own } });
    expect(await client.getServerInfo()).to.include({ version: '1' });
  });

  it('to a server found by DNS verifies the certificate against the name', async () => {
    const lookup = async () => ['127.0.0.1'];
    const address = (name: string) => ({
      address: `dns:///${name}:${service.port}`,
      lookup,
      tls: { ca: ca.cert, ...own },
    });
    expect(await connect(address(NAME)).getServerInfo()).to.include({ version: '1' });
    const error = await failureOf(connect(address('another.test')).getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE' });
    expect(error.message).to.contain('another.test');
  });

  it('verifies the certificate against serverName', async () => {
    const tls = { ca: ca.cert, ...own };
    const address = `https://${service.address}`;
    expect(await connect({ address, tls: { ...tls, serverName: NAME } }).getServerInfo()).to.include({ version: '1' });
    const error = await failureOf(connect({ address, tls: { ...tls, serverName: 'another.test' } }).getServerInfo());
    expect(error).to.include({ tlsProblem: 'CERTIFICATE_NAME' });
    expect(error.message).to.match(/another name .*another\.test.*inference\.test.*tls\.serverName/);
  });

  it('to an IP address names no server, and the certificate is verified against the address', async () => {
    const names: string[] = [];
    const named = createTlsServer({
      ...own,
      SNICallback: (name, done) => {
        names.push(name);
        done(null, createSecureContext(own));
      },
    });
    const address = `https://${await listen(open(named))}`;
    const error = await failureOf(connect({ address, tls: { ca: ca.cert } }).getServerInfo());
    expect(error).to.include({ tlsProblem: 'CERTIFICATE_NAME' });
    expect(error.message).to.include('IP: 127.0.0.1');
    expect(names).to.deep.equal([]);
  });

  it('is refused to a server of an unknown authority', async () => {
    const error = await failureOf(connect({ address: service.address, tls: true }).getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', reason: 'UNREACHABLE', tlsProblem: 'CERTIFICATE_UNTRUSTED' });
    expect(error.message).to.match(/certificate is not trusted .*tls\.ca/);
  });

  it('is refused to a server whose certificate has expired', async () => {
    const pair = { cert_chain: Buffer.from(expired.cert), private_key: Buffer.from(expired.key) };
    const { address } = open(await startFakeService([], { credentials: ServerCredentials.createSsl(null, [pair]) }));
    const error = await failureOf(connect({ address, tls: { ca: ca.cert } }).getServerInfo());
    expect(error).to.include({ reason: 'UNREACHABLE', tlsProblem: 'CERTIFICATE_EXPIRED' });
    expect(error.message).to.match(/its certificate is not valid today \(certificate has expired\): renew it/);
  });

  it('fails without a required client certificate', async () => {
    const error = await failureOf(connect({ address: service.address, tls: { ca: ca.cert } }).getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', tlsProblem: 'CLIENT_CERTIFICATE_REQUIRED' });
    expect(error.message).to.include('requires a client certificate: pass one as tls.cert and tls.key');
  });

  it('fails with a client certificate of another authority', async () => {
    const { client: foreign } = await makeCertificates(NAME);
    const tls = { ca: ca.cert, ...foreign };
    const error = await failureOf(connect({ address: service.address, tls }).getServerInfo());
    expect(error).to.include({ tlsProblem: 'CLIENT_CERTIFICATE_REFUSED' });
    expect(error.message).to.include('TLS_CLIENT_CA_FILE');
  });

  it('is suggested to a client without TLS', async () => {
    const error = await failureOf(connect({ address: service.address }).getServerInfo());
    expect(error).to.include({ reason: 'UNREACHABLE', tlsProblem: 'TLS_REQUIRED' });
    expect(error.message).to.include(`the port speaks TLS: use https://${service.address}`);
    const { stderr, exitCode } = await heimdex(['info'], { address: service.address });
    expect(stderr).to.include('the port speaks TLS').and.include('--tls').and.not.include('Is the server running');
    expect(exitCode).to.equal(3);
  });

  it('is not suggested for a port that speaks neither', async () => {
    const other = net.createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.2\r\n'));
    const address = await listen(open(other));
    const error = await failureOf(connect({ address, connectTimeoutMs: 500 }).getServerInfo());
    expect(error).to.include({ reason: 'UNREACHABLE', tlsProblem: undefined });
  });

  it('is reported as unsupported by a port without TLS', async () => {
    const { address } = open(await startFakeService([]));
    const error = await failureOf(connect({ address: `https://${address}` }).getServerInfo());
    expect(error).to.include({ reason: 'UNREACHABLE', tlsProblem: 'TLS_UNSUPPORTED' });
    expect(error.message).to.include(`the port does not speak TLS: use http://${address}`);
  });

  it('to a server that has ended is not reported as a certificate error', async () => {
    const gone = await startFakeService([[InferenceService, {}]], { credentials });
    const client = connect({ address: gone.address, tls: { ca: ca.cert, ...own } });
    expect(await failureOf(client.getServerInfo())).to.include({ code: 'UNIMPLEMENTED' });
    gone.close();
    const error = await failureOf(client.getServerInfo());
    expect(error).to.include({ code: 'UNAVAILABLE', tlsProblem: undefined });
  });
});
