/** What needs one server of Moonshine, which takes 4 s of processor time to start. */
import { type ServedVolume, SPEECH_ONLY, serveVolume } from '../fixtures/serve-volume.js';
import { makeSpeechVolume } from '../fixtures/volume.js';
import { voiceWeights } from '../support/silero.js';
import { testArrivingFiles } from './audio-files.js';
import { testClientVideos } from './client-videos.js';
import { testVoiceActivity } from './voice-activity.js';

describe('a server of Moonshine', () => {
  let served: ServedVolume;

  before(async () => {
    const env = { ...SPEECH_ONLY, FEATURE_VAD: 'true', MAX_MESSAGE_MIB: '16' };
    served = await serveVolume(await makeSpeechVolume({ plain: [voiceWeights()] }), env);
  });
  after(() => served?.stop());

  describe('with audio files that arrive in chunks', () => testArrivingFiles(() => served));
  describe('with videos that the client reads from the disk', () => testClientVideos(() => served));
  describe('with voice activity', () => testVoiceActivity(() => served));
});
