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
    it(`reads ${written}`, () => {
      expect(parseAddress(written).target).to.equal(target);
    });
  }

  it('says whether it is encrypted and whether it stands for many servers', () => {
    expect(parseAddress('https://a')).to.include({ tls: true, dns: false });
    expect(parseAddress('dns:///a')).to.include({ tls: false, dns: true });
  });

  for (const wrong of ['', 'a b', 'host:0', 'host:70000', 'ftp://host', 'http://host/path', '::1', 'unix:']) {
    it(`refuses ${JSON.stringify(wrong)}`, () => {
      expect(() => parseAddress(wrong)).to.throw(TypeError, 'Expected an address such as localhost:8001');
    });
  }
});
