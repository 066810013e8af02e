import { stripVTControlCharacters } from 'node:util';
import { expect } from 'chai';
import type { Sandbox } from '../src/sandbox.js';
import { Show } from '../src/show.js';
import { faces } from '../src/steps/faces.js';

describe('the faces of the demo', () => {
  it('have the whole name of their image on a terminal with colours', async () => {
    const line = JSON.stringify({ file: '/in/faces_1.png', faces: [], drawn: '/out/faces_1.png' });
    const sandbox = { start: () => ({ finish: async () => undefined, lines: [line] }) } as unknown as Sandbox;
    let shown = '';
    const terminal = { isTTY: true, write: (text: string) => (shown += text) } as unknown as NodeJS.WritableStream;
    const { signal } = new AbortController();
    const images = { images: [], expected: { 'faces_1.png': 0 }, out: '/out' };
    await faces(new Show(terminal, false), sandbox, '', images, signal);
    expect(stripVTControlCharacters(shown)).to.match(/^ {3}faces_1\.png +✔ 0 faces/m);
  });
});
