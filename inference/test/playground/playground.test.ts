import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pcm16, wavFile } from '../audio/wav-file.js';
import { findChromium } from '../fixtures/browser.js';
import { openPage, type Page, until } from '../fixtures/devtools.js';
import { type FakeServer, startFakeServer } from '../fixtures/fake-server.js';
import { drop, dropTwice, press } from '../fixtures/page-actions.js';
import { type PathProxy, startPathProxy } from '../fixtures/path-proxy.js';
import { pocketEnv } from '../fixtures/pocket.js';
import { type ServerProcess, startProgram } from '../fixtures/server-process.js';
import { DEMO_MODELS, MOONSHINE, makeSpeechVolume, ROOT, type Volume } from '../fixtures/volume.js';
import { samplesOf } from '../support/speech.js';

const SAMPLES = join(ROOT, 'demo/samples');
const IMAGES = join(SAMPLES, 'images');
const TOKEN = 'a-token-of-the-test-0123456789';

describe('the page to try the server', () => {
  let on: FakeServer;
  let off: FakeServer;
  before(async () => {
    on = await startFakeServer({ PLAYGROUND: 'true' });
    off = await startFakeServer();
  });
  after(async () => {
    await on?.close();
    await off?.close();
  });

  it('is off by default', async () => {
    for (const path of ['/', '/playground/main.js']) {
      expect((await fetch(off.url + path)).status, path).to.equal(404);
    }
  });

  it('is static: a strict policy, ETag, GET and HEAD only', async () => {
    const page = await fetch(`${on.url}/`);
    expect(page.status).to.equal(200);
    const policy = page.headers.get('content-security-policy');
    expect(policy).to.include("default-src 'none'").and.include("frame-ancestors 'none'").and.not.include('unsafe');
    expect(page.headers.get('x-content-type-options')).to.equal('nosniff');
    expect(page.headers.get('referrer-policy')).to.equal('no-referrer');
    const etag = page.headers.get('etag') ?? '';
    // A proxy that compresses the page makes its tag a weak one.
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      expect((await fetch(`${on.url}/`, { headers: { 'if-none-match': known } })).status, known).to.equal(304);
    }
    expect((await fetch(`${on.url}/`, { method: 'HEAD' })).status).to.equal(200);
    expect((await fetch(`${on.url}/`, { method: 'POST', body: 'x' })).ok).to.equal(false);
    expect((await fetch(`${on.url}/playground/..%2fserver.js`)).status).to.equal(404);
  });

  it('chooses images in formats that browsers do not count as images', async () => {
    const html = await (await fetch(`${on.url}/`)).text();
    expect(html.match(/accept="image[^"]*"/g)).to.have.lengthOf(2);
    for (const accept of html.match(/accept="image[^"]*"/g) ?? []) {
      expect(accept).to.include('.heic').and.include('.jxl');
    }
  });

  it('names for screen readers only what has a role', async () => {
    const html = await (await fetch(`${on.url}/`)).text();
    const named = html.match(/<(div|p|span) [^>]*aria-label[^>]*>/g) ?? [];
    expect(named).to.have.lengthOf(1);
    expect(named.filter((tag) => !tag.includes(' role='))).to.deep.equal([]);
  });

  describe('in Chromium, behind a proxy that has it below a path', () => {
    let volume: Volume | undefined;
    let server: ServerProcess | undefined;
    let proxy: PathProxy | undefined;
    let page: Page;
    before(async function () {
      const program = findChromium();
      if (program === undefined) {
        console.log('      skipped: no Chromium is installed; HEIMDEX_TEST_CHROMIUM may name one');
        return this.skip();
      }
      volume = await volumeOfDemo();
      const tokens = join(volume.cacheDir, 'tokens');
      await writeFile(tokens, `${TOKEN}\n`);
      const env = { ASR_MODEL: 'moonshine-tiny', PLAYGROUND: 'true', AUTH_TOKENS_FILE: tokens, MAX_MESSAGE_MIB: '4' };
      server = await startProgram({ ...pocketEnv(volume), ...env });
      const said = await samplesOf(join(SAMPLES, 'speech/search.flac'));
      const microphone = join(volume.cacheDir, 'microphone.wav');
      await writeFile(microphone, wavFile(pcm16(said.subarray(0, 2.5 * 16_000))));
      proxy = await startPathProxy('/heimdex/try', server.url);
      page = await openPage(program, `${proxy.url}/`, [
        '--use-fake-device-for-media-stream',
        '--use-fake-ui-for-media-stream',
        `--use-file-for-fake-audio-capture=${microphone}%noloop`,
      ]);
      await page.send('Page.bringToFront');
    });
    after(async () => {
      await page?.close();
      proxy?.close();
      await server?.stop('SIGKILL');
      await volume?.remove();
    });

    const text = (selector: string) => page.evaluate(`document.querySelector('${selector}').textContent`);
    const isHidden = (selector: string) => page.evaluate(`document.querySelector('${selector}').hidden`);
    const type = async (selector: string, value: string) => {
      await page.evaluate(`document.querySelector('${selector}').select()`);
      await page.send('Input.insertText', { text: value });
      await press(page, 'Enter');
    };

    /** Resolves when the page has made its next call, which `answer()` in the page answers. */
    const hold = () =>
      page.evaluate(`new Promise((called) => {
        const { fetch } = window;
        window.fetch = (...request) => new Promise((resolve) => {
          window.fetch = fetch;
          window.answer = async () => {
            const text = await (await fetch(...request)).text();
            resolve({ ok: true, text: async () => text });
            await new Promise((done) => setTimeout(done));
          };
          called();
        });
      })`);

    it('asks for a token if the server does, then offers the loaded features', async () => {
      await page.evaluate(until("document.querySelector('#token-form')?.hidden === false"));
      expect(await isHidden('#section-speech')).to.equal(true);
      await type('#token', TOKEN);
      await page.evaluate(until("document.querySelector('#section-faces').hidden === false"));
      expect(await isHidden('#token-form')).to.equal(true);
      expect(await isHidden('#section-speech')).to.equal(false);
      expect(await isHidden('#section-vision')).to.equal(false);
      expect(await text('#status')).to.include(MOONSHINE);
    });

    it('searches images that are dropped on it, at most 16 a call', async () => {
      const names = (await readdir(IMAGES)).filter((name) => /\.(png|jpg)$/.test(name));
      await drop(
        page,
        '#section-vision',
        names.map((name) => join(IMAGES, name)),
      );
      await page.evaluate(until("document.querySelector('#search-status').textContent.startsWith('24 images')"));
      expect(page.requests.filter((url) => url.endsWith('/EmbedImage'))).to.have.lengthOf(2);
      await type('#query', 'a snowman');
      await page.evaluate(until("document.querySelector('#search-status').textContent.startsWith('Best')"));
      expect(await text('#search-status')).to.equal('Best: 20-snowman.png');
      expect(await text('figure.best figcaption')).to.match(/^0\.\d{3}20-snowman\.png$/);
    });

    it('does not compare images with a query by another model, as after a restart', async () => {
      await page.evaluate(`{
        const { fetch } = window;
        window.fetch = async (...request) => {
          window.fetch = fetch;
          const answer = await (await fetch(...request)).json();
          return Response.json({ ...answer, model: { ...answer.model, id: 'an/other' } });
        };
      }`);
      await type('#query', 'a snowman');
      await page.evaluate(until("document.querySelector('#search-status').classList.contains('error')"));
      expect(await text('#search-status')).to.match(/now runs an\/other@.*24 of 24 images are by another model/);
    });

    it('shows nothing of a query that is answered after another, or after all images were removed', async () => {
      let held = hold();
      await type('#query', 'a snowman');
      await held;
      await type('#query', 'an elephant');
      await page.evaluate(until("document.querySelector('#search-status').textContent.includes('elephant')"));
      await page.evaluate('answer()');
      expect(await text('#search-status')).to.equal('Best: 06-elephant.jpg');
      held = hold();
      await type('#query', 'a snowman');
      await held;
      await page.evaluate("document.querySelector('#clear').click()");
      await page.evaluate('answer()');
      expect(await text('#search-status')).to.equal('');
    });

    it('limits the number of images', async () => {
      await page.evaluate(`{
        const dataTransfer = new DataTransfer();
        for (let at = 0; at < 501; at += 1) dataTransfer.items.add(new File(['x'], at + '.png'));
        document.querySelector('#images').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
      }`);
      await page.evaluate(until("document.querySelector('#search-status').classList.contains('error')"));
      expect(await text('#search-status')).to.include('at most 500 images, got 501');
      expect(page.requests.filter((url) => url.endsWith('/EmbedImage'))).to.have.lengthOf(2);
    });

    it('names an image that is larger than a message may be, and embeds the others', async () => {
      await page.evaluate(`{
        const dataTransfer = new DataTransfer();
        for (const [name, parts] of [['large.png', [new Uint8Array(4e6)]], ['last.png', ['x']]]) {
          dataTransfer.items.add(new File(parts, name));
        }
        document.querySelector('#images').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
      }`);
      await page.evaluate(until("document.querySelector('#search-status').textContent.includes('last.png')"));
      expect(await text('#search-status')).to.match(
        /large\.png: Expected at most 2\.9 MiB, got 3\.8 MiB.* last\.png: /,
      );
    });

    it('drops images that are being embedded when all are removed', async () => {
      const held = hold();
      await page.choose('#search-files', [join(IMAGES, '06-elephant.jpg')]);
      await held;
      await page.evaluate("document.querySelector('#clear').click()");
      await page.evaluate('answer()');
      await page.choose('#search-files', [join(IMAGES, '07-penguin.png')]);
      await page.evaluate(until("document.querySelector('#images').textContent.includes('penguin')"));
      expect(await text('#images')).to.equal('07-penguin.png');
    });

    it('says that the server is gone, before its answer or in the middle of it', async () => {
      for (const [why, answer] of [
        ['Failed to fetch', "Promise.reject(new TypeError('Failed to fetch'))"],
        ['network error', "Promise.resolve({ ok: true, text: () => Promise.reject(new TypeError('network error')) })"],
      ]) {
        await page.evaluate(`{
          const { fetch } = window;
          window.fetch = () => {
            window.fetch = fetch;
            return ${answer};
          };
        }`);
        await type('#query', 'a penguin');
        await page.evaluate(until(`document.querySelector('#search-status').textContent.includes('${why}')`));
        expect(await text('#search-status')).to.match(/^The server cannot be reached: /);
      }
    });

    it("draws faces, and shows the server's error", async () => {
      await page.choose('#faces-file', [join(SAMPLES, 'speech/party.flac')]);
      await page.evaluate(until("document.querySelector('#faces-status').classList.contains('error')"));
      expect(await text('#faces-status')).to.match(/image/i);
      expect(await isHidden('#faces')).to.equal(true);
      await page.choose('#faces-file', [join(SAMPLES, 'faces/faces_3.png')]);
      await page.evaluate(until("document.querySelector('#faces').hidden === false"));
      expect(await page.evaluate("document.querySelector('#faces').getAttribute('aria-label')")).to.match(/4 faces/);
    });

    it('shows no error of a file whose place another has taken', async () => {
      const held = page.evaluate(`new Promise((called) => {
        const { fetch } = window;
        window.fetch = () => new Promise((_, reject) => {
          window.fetch = fetch;
          window.failLate = () => reject(new Error('late'));
          called();
        });
      })`);
      await page.choose('#faces-file', [join(SAMPLES, 'faces/faces_1.png')]);
      await held;
      await page.choose('#faces-file', [join(SAMPLES, 'faces/faces_2.png')]);
      await page.evaluate(until("document.querySelector('#faces').hidden === false"));
      await page.evaluate('failLate()');
      expect(await text('#faces-status')).to.equal('3 faces.');
    });

    it('transcribes long audio in chunks; a click on a segment plays from its time', async () => {
      const flac = await readFile(join(SAMPLES, 'speech/search.flac'), 'base64');
      await page.evaluate(dropTwice(flac, 22));
      await page.evaluate(until("/^Done/.test(document.querySelector('#speech-status').textContent)"));
      // One refusal of the times of words, then chunks of at most 8, 16 and 28 s.
      expect(page.requests.filter((url) => url.endsWith('/Transcribe'))).to.have.lengthOf(4);
      const said = String(await text('#words'));
      expect(said.match(/by the words that were spoken/g)).to.have.lengthOf(2);
      const [shown, position] = (await page.evaluate(`(() => {
        const button = document.querySelector('#words').lastElementChild;
        button.click();
        return [button.querySelector('small').textContent, document.querySelector('#player').currentTime];
      })()`)) as [string, number];
      const [minutes = 0, seconds = 0] = shown.split(':').map(Number);
      expect(position)
        .to.be.greaterThan(22)
        .and.be.closeTo(minutes * 60 + seconds, 0.1);
      await page.evaluate("document.querySelector('#player').pause()");
    });

    for (const name of ['video_opus_in.mp4', 'video_vp8_opus.webm']) {
      it(`transcribes the sound of a video that is dropped on it, and shows the video: ${name}`, async () => {
        await drop(page, '#section-speech', [join(ROOT, 'inference/test/audio/cases', name)]);
        await page.evaluate(until("/^Done: 3 /.test(document.querySelector('#speech-status').textContent)"));
        expect(await text('#words')).to.match(/^0:0.*He was not .* young man/i);
        expect(await page.evaluate("document.querySelector('#player').videoWidth")).to.be.greaterThan(0);
        expect(await page.evaluate("document.querySelector('#player').classList.contains('sound')")).to.equal(false);
      });
    }

    it('says what the server says of a file that the browser cannot decode, and that there is no speech in it', async () => {
      const header = Buffer.from('.snd'.padEnd(24, '\0'));
      // AU in 16 bits; of one second half a second is there.
      for (const [at, value] of [24, 32_000, 3, 16_000, 1].entries()) header.writeUInt32BE(value, 4 + 4 * at);
      const file = join(volume?.cacheDir ?? '', 'cut.au');
      await writeFile(file, Buffer.concat([header, Buffer.alloc(16_000)]));
      await page.choose('#speech-file', [file]);
      await page.evaluate(until("/^(No|Done)[ .]/.test(document.querySelector('#speech-status').textContent)"));
      expect(await text('#speech-status')).to.match(/^No speech was found\. .*truncated: 0\.50 s/);
    });

    it('transcribes what the microphone records', async () => {
      // Twice, as long as the browser asks for permission: a second recording would never end.
      await page.evaluate(`{
        const { mediaDevices } = navigator;
        const ask = mediaDevices.getUserMedia.bind(mediaDevices);
        window.asked = 0;
        mediaDevices.getUserMedia = (what) => (window.asked++, ask(what));
        for (let clicks = 0; clicks < 2; clicks += 1) document.querySelector('#record').click();
      }`);
      expect(await page.evaluate('asked')).to.equal(1);
      await page.evaluate(until("/^Stop .[3-9] s/.test(document.querySelector('#record').textContent)"));
      expect(await text('#speech-status')).to.equal('Recording …');
      await page.evaluate("document.querySelector('#record').click()");
      await page.evaluate(until("/^Done/.test(document.querySelector('#speech-status').textContent)"));
      expect(await text('#words')).to.match(/you can search/i);
      expect(await text('#record')).to.equal('Record');
      expect(await page.evaluate("document.querySelector('#player').classList.contains('sound')")).to.equal(true);
    });

    it('shows nothing of a file that is decoded after another has taken its place', async () => {
      const held = page.evaluate(`new Promise((called) => {
        const { decodeAudioData } = OfflineAudioContext.prototype;
        OfflineAudioContext.prototype.decodeAudioData = async function (bytes) {
          OfflineAudioContext.prototype.decodeAudioData = decodeAudioData;
          await new Promise((resolve) => {
            window.decode = resolve;
            called();
          });
          return decodeAudioData.call(this, bytes);
        };
        const { fetch } = window;
        window.fetch = async () => {
          window.fetch = fetch;
          return Response.json({ segments: [{ startSeconds: 59.96, text: 'late' }] });
        };
      })`);
      await page.choose('#speech-file', [join(SAMPLES, 'speech/party.flac')]);
      await held;
      await page.choose('#speech-file', [join(SAMPLES, 'speech/search.flac')]);
      await page.evaluate(until("/^Done/.test(document.querySelector('#speech-status').textContent)"));
      expect(await text('#words'), 'rounded to tenths').to.equal('1:00.0late ');
      await page.evaluate(`new Promise((decoded) => {
        const { getChannelData } = AudioBuffer.prototype;
        AudioBuffer.prototype.getChannelData = function (channel) {
          AudioBuffer.prototype.getChannelData = getChannelData;
          setTimeout(decoded);
          return getChannelData.call(this, channel);
        };
        decode();
      })`);
      expect(await text('#speech-status')).to.equal('Done: 6 seconds.');
    });

    it('says what to do when the microphone is denied', async () => {
      await page.evaluate(`{
        const { mediaDevices } = navigator;
        const ask = mediaDevices.getUserMedia;
        mediaDevices.getUserMedia = async () => {
          mediaDevices.getUserMedia = ask;
          throw new DOMException('Permission denied', 'NotAllowedError');
        };
        document.querySelector('#record').click();
      }`);
      await page.evaluate(until("document.querySelector('#speech-status').classList.contains('error')"));
      expect(await text('#speech-status')).to.match(
        /^The microphone cannot be used \(Permission denied\)\. Connect one/,
      );
      expect(await text('#record')).to.equal('Record');
    });

    it('is reached by the keyboard in the order of the page', async () => {
      await page.evaluate("{ const title = document.querySelector('h1'); title.tabIndex = -1; title.focus(); }");
      const order: unknown[] = [];
      for (let presses = 0; presses < 40 && order.at(-1) !== 'faces-file'; presses += 1) {
        await press(page, 'Tab');
        const name = await page.evaluate(
          `(({ id, tagName, parentElement }) => id || parentElement.id || tagName)(document.activeElement)`,
        );
        if (name !== order.at(-1)) order.push(name);
      }
      expect(order).to.deep.equal([
        ...['speech-file', 'record', 'player', 'words'],
        ...['search-files', 'clear', 'query', 'search-form', 'faces-file'],
      ]);
    });

    it('has no errors but the refusals above, and asks nobody but the server', async () => {
      const refusals = /"source":"network".*status of 40[01]/;
      expect(page.errors.filter((error) => !refusals.test(JSON.stringify(error)))).to.deep.equal([]);
      const own = `${proxy?.url}/`;
      const outside = page.requests.filter((url) => !/^(data:|blob:)/.test(url) && !url.startsWith(own));
      expect(outside).to.deep.equal([]);
      for (const value of process.env.HEIMDEX_TEST_SCREENSHOTS === undefined ? [] : ['light', 'dark']) {
        await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
        const { data } = await page.send('Page.captureScreenshot', { captureBeyondViewport: true });
        await writeFile(join(process.env.HEIMDEX_TEST_SCREENSHOTS ?? '', `${value}.png`), String(data), 'base64');
      }
    });
  });
});

/** A volume of the embedded models: speech, images with texts, faces. */
function volumeOfDemo(): Promise<Volume> {
  const siglip = 'heimdex/siglip-pocket';
  return makeSpeechVolume({
    snapshots: { [siglip]: join(DEMO_MODELS, siglip) },
    plain: [join(DEMO_MODELS, 'heimdex/face-pocket/face_detection_pocket.onnx')],
  });
}
