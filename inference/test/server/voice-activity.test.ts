import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceService } from '@heimdex/gen';
import { embeddedRepositories } from '@heimdex/hub';
import { expect } from 'chai';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { runProgram, startProgram } from '../fixtures/server-process.js';
import { makeVolume, ROOT } from '../fixtures/volume.js';
import { voiceWeights } from '../support/silero.js';

const { transcribe } = InferenceService.method;
const MOONSHINE = 'onnx-community/moonshine-tiny-ONNX';
const SPEECH_ONLY = { ASR_MODEL: 'moonshine-tiny', VISION_MODEL_NAME: 'none' };

describe('voice activity in the server', () => {
  const volumeWith = async (plain: readonly string[]) => {
    const moonshine = (await embeddedRepositories()).find(({ name }) => name === MOONSHINE);
    return makeVolume({ snapshots: { [MOONSHINE]: moonshine?.files ?? [] }, plain });
  };
  const request = async () => ({
    audio: { content: await readFile(join(ROOT, 'demo/samples/speech/models.flac')) },
    options: { vadFilter: true },
  });

  it('is run by the speech model when FEATURE_VAD is set, and named by the error when it is not', async () => {
    const volume = await volumeWith([voiceWeights()]);
    try {
      for (const on of [true, false]) {
        const server = await startProgram({
          ...SPEECH_ONLY,
          HF_HUB_CACHE: volume.cacheDir,
          FEATURE_VAD: String(on),
        });
        const client = new GrpcClient(server.address);
        try {
          if (on) {
            const { text, speechSeconds, durationSeconds } = await client.value(transcribe, await request());
            expect(text).to.match(/^every model is downloaded/i);
            expect(speechSeconds).to.be.within(3, durationSeconds);
          } else {
            const failure = await client.failure(transcribe, await request());
            expect(failure.reason).to.equal('FEATURE_DISABLED');
          }
        } finally {
          client.close();
          await server.stop('SIGKILL');
        }
      }
    } finally {
      await volume.remove();
    }
  });

  it('is missed at the start when it was not downloaded', async () => {
    const volume = await volumeWith([]);
    try {
      const env = { ...SPEECH_ONLY, HF_HUB_CACHE: volume.cacheDir, FEATURE_VAD: 'true' };
      const { code, stderr } = await runProgram(env);
      expect(code).not.to.equal(0);
      expect(stderr).to.include('silero_vad_v6.onnx').and.to.include('FEATURE_VAD');
    } finally {
      await volume.remove();
    }
  });
});
