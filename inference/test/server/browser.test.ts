import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { type Browser, findChromium, openBrowser } from '../fixtures/browser.js';
import { logged, textRequest } from '../fixtures/embed-calls.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';

/** Runs in a page: calls over gRPC-Web and Connect, with the results as plain values. */
const callsOf = (url: string) => `
  const outcomes = {};
  for (const [name, create] of [['grpc-web', web.createGrpcWebTransport], ['connect', web.createConnectTransport]]) {
    const transport = create({ baseUrl: '${url}' });
    const inference = createClient(gen.InferenceService, transport);
    const health = createClient(gen.Health, transport);
    const outcome = outcomes[name] = {};
    try {
      const { results } = await inference.embedText({ texts: ['a red heart'], model: gen.TextModel.TEXT }, { headers: { authorization: 'Bearer none', 'x-request-id': 'page-' + name, 'x-heimdex-priority': 'bulk' } });
      outcome.vector = results[0].result.value.values;
    } catch (error) {
      outcome.error = { code: Code[error.code], message: error.rawMessage };
    }
    try {
      await inference.embedText({ texts: [], model: gen.TextModel.TEXT });
    } catch (error) {
      outcome.refusal = {
        code: Code[error.code],
        reasons: error.findDetails(gen.ErrorInfoSchema).map(({ reason }) => reason),
        fields: error.findDetails(gen.BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field)),
      };
    }
    try {
      for await (const { status } of health.watch({})) {
        outcome.health = gen.HealthCheckResponse_ServingStatus[status];
        break;
      }
    } catch (error) {
      outcome.healthError = Code[error.code];
    }
  }
  return outcomes;`;

interface Outcome {
  readonly vector?: readonly number[];
  readonly error?: { readonly code: string; readonly message: string };
  readonly refusal?: { readonly code: string; readonly reasons: readonly string[]; readonly fields: readonly string[] };
  readonly health?: string;
  readonly healthError?: string;
}

type Outcomes = Readonly<Record<'grpc-web' | 'connect', Outcome>>;

describe('a page in Chromium', () => {
  let browser: Browser;
  let named: FakeServer;
  let byDefault: FakeServer;
  before(async function () {
    const program = findChromium();
    if (program === undefined) {
      console.log('      skipped: no Chromium is installed; HEIMDEX_TEST_CHROMIUM may name one');
      return this.skip();
    }
    browser = await openBrowser(program);
    named = await startFakeServer({ CORS_ORIGINS: browser.origin });
    byDefault = await startFakeServer();
    await Promise.all([named.server.warm, byDefault.server.warm]);
  });
  after(async () => {
    await byDefault?.close();
    await named?.close();
    await browser?.close();
  });

  it('of an allowed origin calls over gRPC-Web and Connect: responses, errors with details, streams', async () => {
    const outcomes = (await browser.run(callsOf(named.url))) as Outcomes;
    const { results } = await named.client.value(InferenceService.method.embedText, textRequest('a red heart'));
    const [native] = results;
    if (native?.result.case !== 'embedding') throw new Error('no embedding');
    for (const protocol of ['grpc-web', 'connect'] as const) {
      expect(outcomes[protocol], protocol).to.deep.equal({
        vector: native.result.value.values,
        refusal: { code: 'InvalidArgument', reasons: ['INVALID_ARGUMENT'], fields: ['texts'] },
        health: 'SERVING',
      });
      const line = await logged(named, `page-${protocol}`);
      expect(line).to.include({ protocol, code: 'OK' });
    }
  });

  it('of another origin is blocked', async () => {
    const outcomes = (await browser.run(callsOf(named.url), 'localhost')) as Outcomes;
    for (const outcome of Object.values(outcomes)) expectBlocked(outcome);
  });

  it('of any origin is blocked by default', async () => {
    const outcomes = (await browser.run(callsOf(byDefault.url))) as Outcomes;
    for (const outcome of Object.values(outcomes)) expectBlocked(outcome);
    expect(byDefault.log.filter(({ msg }) => msg === 'call')).to.deep.equal([]);
  });
});

/** Blocked by the browser: no status of the server, and no details. */
function expectBlocked(outcome: Outcome): void {
  expect(outcome.vector).to.equal(undefined);
  expect(outcome.error).to.deep.equal({ code: 'Unknown', message: 'Failed to fetch' });
  expect(outcome.refusal).to.deep.equal({ code: 'Unknown', reasons: [], fields: [] });
  expect(outcome.health).to.equal(undefined);
  expect(outcome.healthError).to.equal('Unknown');
}
