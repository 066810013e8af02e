import { expect } from 'chai';
import { toJson } from '../../src/cli/to-json.js';

describe('JSON of the command', () => {
  it('has times of three decimals, and all other numbers as they are', () => {
    const timing = { queueMs: 0.123_456_7, runMs: 12 };
    const words = [{ startSeconds: 47.320_000_000_000_01, endSeconds: 48, probability: 0.123_456_789 }];
    expect(toJson({ durationSeconds: 1 / 3, timing, words })).to.equal(
      '{"durationSeconds":0.333,"timing":{"queueMs":0.123,"runMs":12},"words":[{"startSeconds":47.32,"endSeconds":48,"probability":0.123456789}]}',
    );
  });
});
