/** Offers what the server has loaded. */
import { element, keepPageOnDrop, say, shown } from './elements.js';
import { startFaces } from './faces.js';
import { startSearch } from './search.js';
import { CallError, call } from './server.js';
import { startSpeech } from './speech.js';

const STATUS = 'status';
let started = false;

async function connect(): Promise<void> {
  try {
    const { models = [], limits = {}, version = '' } = await call('GetServerInfo', {});
    say(STATUS, `Version ${version}: ${models.map(({ model }) => model?.id ?? '').join(', ')}`);
    element('token-form', HTMLFormElement).hidden = true;
    if (started) return;
    started = true;
    const starts: Readonly<Record<string, () => void>> = {
      speech: () => startSpeech(limits),
      vision: () => startSearch(limits),
      faces: () => startFaces(limits),
    };
    for (const [role, start] of Object.entries(starts)) {
      if (!models.some((model) => model.role === role)) continue;
      element(`section-${role}`, HTMLElement).hidden = false;
      start();
    }
  } catch (error) {
    if (error instanceof CallError && error.code === 'unauthenticated') {
      element('token-form', HTMLFormElement).hidden = false;
    }
    throw error;
  }
}

element('token-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  shown(STATUS, connect);
});
keepPageOnDrop();
shown(STATUS, connect);
