import { join } from 'node:path';
import { expect } from 'chai';
import { findChromium } from '../fixtures/browser.js';
import { openPage, type Page, until } from '../fixtures/devtools.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import { ROOT } from '../fixtures/volume.js';

const VIDEO = join(ROOT, 'inference/test/audio/cases/video_vp8_opus.webm');

/** The test of the page with a server of Whisper, which has the times of words. */
export function testWordsPage(served: () => ServedVolume): void {
  let page: Page | undefined;
  after(() => page?.close());

  it('shows each word with its time, and a click plays from there', async function () {
    const program = findChromium();
    if (program === undefined) {
      console.log('      skipped: no Chromium is installed; HEIMDEX_TEST_CHROMIUM may name one');
      return this.skip();
    }
    page = await openPage(program, `${served().server.url}/`);
    await page.evaluate(until("document.querySelector('#section-speech')?.hidden === false"));
    await page.choose('#speech-file', [VIDEO]);
    await page.evaluate(until("/^Done/.test(document.querySelector('#speech-status').textContent)"));
    const shown = (await page.evaluate(`(() => {
      const player = document.querySelector('#player');
      return [...document.querySelectorAll('#words button')].map((button) => {
        button.click();
        const [time, text] = button.childNodes;
        return [time.textContent, text.textContent, player.currentTime];
      });
    })()`)) as [string, string, number][];
    expect(shown.map(([, text]) => text).join(' ')).to.match(/^He was not .*young man/);
    expect(shown.length).to.be.within(6, 9);
    const times = shown.map(([time]) => Number(/^0:(\d\d\.\d)$/.exec(time)?.[1]));
    expect(times).to.deep.equal([...times].sort((one, other) => one - other));
    expect(times.at(-1)).to.be.within(1.5, 3);
    for (const [index, [, text, position]] of shown.entries())
      expect(position, text).to.be.closeTo(times[index] ?? 0, 0.1);
    await page.evaluate("document.querySelector('#player').pause()");
    expect(page.requests.filter((url) => url.endsWith('/Transcribe'))).to.have.lengthOf(1);
    expect(page.errors).to.deep.equal([]);
  });
}
