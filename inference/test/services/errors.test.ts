import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '@heimdex/gen';
import { expect } from 'chai';
import { ERROR_CODES, InferenceError } from '../../src/errors.js';
import { ERROR_TABLE, fromStatus, STATUSES, toStatus, toWireError } from '../../src/services/errors.js';
import { ROOT } from '../fixtures/volume.js';

describe('toWireError', () => {
  it('returns the gRPC status, the HTTP status and ErrorInfo of each code', () => {
    for (const code of ERROR_CODES.filter((name) => name !== 'INTERNAL')) {
      const wire = toWireError(new InferenceError(code, 'what is wrong'));
      expect(wire).to.include(STATUSES[ERROR_TABLE[code].status]);
      const [detail] = toStatus(wire).details;
      const info = detail === undefined ? undefined : anyUnpack(detail, ErrorInfoSchema);
      expect([info?.reason, info?.domain]).to.deep.equal([code, 'heimdex.inference.v1']);
    }
  });

  it('names the invalid field in BadRequest', () => {
    const status = toStatus(toWireError(new InferenceError('INVALID_ARGUMENT', 'too many', { field: 'texts' })));
    const detail = status.details.map((any) => anyUnpack(any, BadRequestSchema)).find((any) => any !== undefined);
    expect(detail?.fieldViolations.map(({ field, description }) => [field, description])).to.deep.equal([
      ['texts', 'too many'],
    ]);
  });

  it('puts the retry delay into RetryInfo', () => {
    const status = toStatus(toWireError(new InferenceError('QUEUE_FULL', 'full', { retryAfterMs: 2500 })));
    const detail = status.details.map((any) => anyUnpack(any, RetryInfoSchema)).find((any) => any !== undefined);
    expect([detail?.retryDelay?.seconds, detail?.retryDelay?.nanos]).to.deep.equal([2n, 500_000_000]);
  });

  it('hides the text of an unexpected error behind an id', () => {
    const wire = toWireError(new TypeError('cannot read /etc/passwd'));
    expect(wire.status).to.equal('INTERNAL');
    expect(wire.message).to.include(wire.errorId).and.not.include('passwd');
  });

  it('returns header-safe text of bounded length', () => {
    const wire = toWireError(
      new InferenceError('INVALID_ARGUMENT', `\ud800${'x'.repeat(100_000)}`, { field: '\udfff' }),
    );
    expect(() => encodeURI(wire.message)).not.to.throw();
    expect(wire.message.length).to.be.below(1100);
  });
});

describe('fromStatus', () => {
  it('returns the code, the message and the retry delay of an item, with its field', () => {
    const full = new InferenceError('QUEUE_FULL', 'full', { field: 'texts[0]', retryAfterMs: 2500 });
    const { code, message, field, retryAfterMs } = fromStatus(toStatus(toWireError(full)), 'input[3]');
    expect([code, message, field, retryAfterMs]).to.deep.equal(['QUEUE_FULL', 'full', 'input[3]', 2500]);
    const lost = fromStatus(toStatus(toWireError(new InferenceError('WORKER_LOST_TWICE', 'lost'))), 'input[0]');
    expect([lost.code, lost.retryAfterMs]).to.deep.equal(['WORKER_LOST_TWICE', undefined]);
  });
});

describe('docs/reference.md', () => {
  it('lists every error code with its statuses, and nothing else', async () => {
    const rows = await tableRows(/^\| `([A-Z_]+)` \| `([A-Z_]+)` \(\d+\) \| (\d+) \|/gm);
    const expected = ERROR_CODES.map((code) => {
      const { status } = ERROR_TABLE[code];
      return [code, status, String(STATUSES[status].httpStatus)];
    });
    expect(rows).to.have.deep.members(expected);
  });
});

async function tableRows(row: RegExp): Promise<string[][]> {
  const text = await readFile(join(ROOT, 'docs/reference.md'), 'utf8');
  return [...text.matchAll(row)].map(([, ...cells]) => cells);
}
