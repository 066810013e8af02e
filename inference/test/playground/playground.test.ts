import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { findChromium } from '../fixtures/browser.js';
import { openPage, type Page } from '../fixtures/devtools.js';
import { type PocketServer, pocketServer } from '../fixtures/pocket.js';
import { ROOT } from '../fixtures/volume.js';

const SAMPLES = join(ROOT, 'demo/samples');

/** A promise in the page that resolves when the condition holds. */
const until = (condition: string) => `new Promise((resolve) => {
  const look = () => { if (${condition}) { observer.disconnect(); resolve(true); } };
  const observer = new MutationObserver(look);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  look();
})`;

describe('the page to try the server', () => {
  let on: PocketServer;
  let off: PocketServer;
  before(async () => {
    on = await pocketServer({ PLAYGROUND: 'true' });
    off = await pocketServer();
  });
  after(async () => {
    await on?.stop();
    await off?.stop();
  });

  it('is off by default', async () => {
    for (const path of ['/', '/playground/main.js']) {
      expect((await fetch(off.server.url + path)).status, path).to.equal(404);
    }
  });

  it('is static: a strict policy, ETag, GET and HEAD only', async () => {
    const page = await fetch(`${on.server.url}/`);
    expect(page.status).to.equal(200);
    const policy = page.headers.get('content-security-policy');
    expect(policy).to.include("default-src 'none'").and.include("frame-ancestors 'none'").and.not.include('unsafe');
    expect(page.headers.get('x-content-type-options')).to.equal('nosniff');
    expect(page.headers.get('referrer-policy')).to.equal('no-referrer');
    const etag = page.headers.get('etag') ?? '';
    expect((await fetch(`${on.server.url}/`, { headers: { 'if-none-match': etag } })).status).to.equal(304);
    expect((await fetch(`${on.server.url}/`, { method: 'HEAD' })).status).to.equal(200);
    expect((await fetch(`${on.server.url}/`, { method: 'POST', body: 'x' })).ok).to.equal(false);
    expect((await fetch(`${on.server.url}/playground/..%2fserver.js`)).status).to.equal(404);
  });

  describe('in Chromium', () => {
    let page: Page;
    before(async function () {
      const program = findChromium();
      if (program === undefined) {
        console.log('      skipped: no Chromium is installed; HEIMDEX_TEST_CHROMIUM may name one');
        return this.skip();
      }
      page = await openPage(program, `${on.server.url}/`);
      await page.send('Page.bringToFront');
    });
    after(() => page?.close());

    it('offers what is loaded, searches pictures and draws faces, without errors or outside requests', async () => {
      await page.evaluate(until("document.querySelector('#section-faces')?.hidden === false"));
      expect(await page.evaluate("document.querySelector('#section-speech').hidden")).to.equal(true);
      const names = ['01-red-heart.png', '05-cat-face.png', '08-sunflower.png', '20-snowman.png'];
      await page.choose(
        '#search-files',
        names.map((name) => join(SAMPLES, 'images', name)),
      );
      await page.evaluate(until("document.querySelector('#search-status').textContent.startsWith('4 pictures')"));
      await page.evaluate("document.querySelector('#query').focus()");
      await page.send('Input.insertText', { text: 'a snowman' });
      for (const type of ['keyDown', 'keyUp']) {
        await page.send('Input.dispatchKeyEvent', { type, key: 'Enter', text: '\r', windowsVirtualKeyCode: 13 });
      }
      await page.evaluate(until("document.querySelector('#search-status').textContent.startsWith('Best')"));
      expect(await page.evaluate("document.querySelector('#search-status').textContent")).to.equal(
        'Best: 20-snowman.png',
      );
      await page.choose('#faces-file', [join(SAMPLES, 'faces/faces_3.png')]);
      await page.evaluate(until("document.querySelector('#faces').hidden === false"));
      expect(await page.evaluate("document.querySelector('#faces').getAttribute('aria-label')")).to.match(/4 faces/);
      expect(page.errors).to.deep.equal([]);
      const outside = page.requests.filter((url) => !/^(data:|blob:)/.test(url) && !url.startsWith(on.server.url));
      expect(outside).to.deep.equal([]);
      for (const value of process.env.HEIMDEX_TEST_SCREENSHOTS === undefined ? [] : ['light', 'dark']) {
        await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
        const { data } = await page.send('Page.captureScreenshot', { captureBeyondViewport: true });
        await writeFile(join(process.env.HEIMDEX_TEST_SCREENSHOTS ?? '', `${value}.png`), String(data), 'base64');
      }
    });

    it('shows an error as the server says it', async () => {
      await page.choose('#faces-file', [join(SAMPLES, 'speech/party.flac')]);
      await page.evaluate(until("document.querySelector('#faces-status').classList.contains('error')"));
      expect(await page.evaluate("document.querySelector('#faces-status').textContent")).to.match(/image/i);
    });
  });
});
