import { expect } from 'chai';
import { parseAddress } from '../src/transport/address.js';

describe('an address', () => {
  const targets: readonly (readonly [string, string])[] = [
    ['localhost:8001', 'localhost:8001'],
    ['inference', 'inference:8001'],
    [' 10.0.0.7:9000 ', '10.0.0.7:9000'],
    ['[::1]:9000', '[::1]:9000'],
    ['[fe80::1]', '[fe80::1]:8001'],
    ['http://localhost:8001/', 'localhost:8001'],
    ['https://example.org', 'example.org:8001'],
    ['dns:///inference.default.svc:8001', 'inference.default.svc:8001'],
    ['dns:inference', 'inference:8001'],
    ['unix:/run/heimdex.sock', 'unix:/run/heimdex.sock'],
  ];
  for (const [written, target] of targets) {
    it(`parses ${written}`, () => {
      expect(parseAddress(written).target).to.equal(target);
    });
  }

  it('reports TLS and DNS names', () => {
    expect(parseAddress('https://a')).to.include({ tls: true, dns: false });
    expect(parseAddress('dns:///a')).to.include({ tls: false, dns: true });
  });

  for (const invalid of ['', 'a b', 'host:0', 'host:70000', 'ftp://host', 'http://host/path', '::1', 'unix:']) {
    it(`rejects ${JSON.stringify(invalid)}`, () => {
      expect(() => parseAddress(invalid)).to.throw(TypeError, 'Expected an address such as localhost:8001');
    });
  }
});
