import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { findChromium } from '../fixtures/browser.js';
import { openPage, type Page, until } from '../fixtures/devtools.js';
import { type ServedVolume, serveVolume } from '../fixtures/serve-volume.js';
import { makeVolume, ROOT, SHARED_MODELS } from '../fixtures/volume.js';

const NAME = 'onnx-community/whisper-base_timestamped';
const DIR = join(SHARED_MODELS, NAME);
const VIDEO = join(ROOT, 'inference/test/audio/cases/video_vp8_opus.webm');

describe('the page with a model that has the times of words', () => {
  let served: ServedVolume | undefined;
  let page: Page;
  before(async function () {
    const program = findChromium();
    if (program === undefined || !existsSync(DIR)) {
      console.log(`      skipped: needs Chromium (HEIMDEX_TEST_CHROMIUM may name one) and ${DIR}`);
      return this.skip();
    }
    const models = { ASR_MODEL: NAME, VISION_MODEL_NAME: 'none', VERIFY_MODELS: 'quick' };
    const volume = await makeVolume({ snapshots: { [NAME]: DIR } });
    served = await serveVolume(volume, { PLAYGROUND: 'true', ...models });
    page = await openPage(program, `${served.server.url}/`);
  });
  after(async () => {
    await page?.close();
    await served?.stop();
  });

  it('shows each word with its time, and a click plays from there', async () => {
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
});
