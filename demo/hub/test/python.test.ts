import { expect } from 'chai';
import { runPython } from '../src/python.js';

describe('a script for a Python', () => {
  for (const [what, command, expected] of [
    ['that is not there', '/nowhere/python', 'spawn /nowhere/python ENOENT'],
    ['that ends without an answer', 'true', 'true ended'],
  ] as const) {
    it(`${what} is rejected, as is the next one`, async () => {
      for (let script = 0; script < 2; script += 1) {
        const error: unknown = await runPython(command, 'print(1)', { PATH: process.env.PATH }).catch((cause) => cause);
        expect(error).to.be.an('error').with.property('message', expected);
      }
    });
  }
});
