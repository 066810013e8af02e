/** What needs one server of Moonshine and small images, which takes 5 s of processor time to start. */
import { join } from 'node:path';
import { SIGLIP } from '../fixtures/pocket.js';
import { type ServedVolume, SPEECH_ONLY, serveVolume } from '../fixtures/serve-volume.js';
import { DEMO_MODELS, makeSpeechVolume } from '../fixtures/volume.js';
import { testOpenAiPackages } from '../openai/openai-packages.js';
import { voiceWeights } from '../support/silero.js';
import { testArrivingFiles } from './audio-files.js';
import { testClientVideos } from './client-videos.js';
import { testVoiceActivity } from './voice-activity.js';

describe('a server of Moonshine', () => {
  let served: ServedVolume;

  before(async () => {
    const snapshots = { [SIGLIP]: join(DEMO_MODELS, SIGLIP) };
    const models = { ...SPEECH_ONLY, VISION_MODEL_NAME: SIGLIP, FEATURE_VAD: 'true' };
    const volume = await makeSpeechVolume({ snapshots, plain: [voiceWeights()] });
    served = await serveVolume(volume, { ...models, MAX_MESSAGE_MIB: '16' });
  });
  after(() => served?.stop());

  describe('with audio files that arrive in chunks', () => testArrivingFiles(() => served));
  describe('with videos that the client reads from the disk', () => testClientVideos(() => served));
  describe('with voice activity', () => testVoiceActivity(() => served));
  describe('with the official packages of OpenAI', () => testOpenAiPackages(() => served));
});
