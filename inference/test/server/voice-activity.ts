import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { InferenceService, type VadParametersSchema } from '@heimdex/gen';
import { expect } from 'chai';
import { pcm16, wavFile } from '../audio/wav-file.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { type ServedVolume, SPEECH_ONLY } from '../fixtures/serve-volume.js';
import { runHere } from '../fixtures/server-process.js';
import { makeSpeechVolume, ROOT } from '../fixtures/volume.js';
import { joined, samplesOf } from '../support/speech.js';

const { transcribe } = InferenceService.method;

/** The tests of voice activity in a server of Moonshine that has it. */
export function testVoiceActivity(served: () => ServedVolume): void {
  const request = async () => ({
    audio: { content: await readFile(join(ROOT, 'demo/samples/speech/models.flac')) },
    options: { vadFilter: true },
  });

  it('is used by the speech model if FEATURE_VAD is set', async () => {
    const client = new GrpcClient(served().server.address);
    try {
      const { text, speechSeconds, durationSeconds } = await client.value(transcribe, await request());
      expect(text).to.match(/^every model is downloaded/i);
      expect(speechSeconds).to.be.within(3, durationSeconds);
      await expectCutInPauses(client);
    } finally {
      client.close();
    }
  });

  /** A pause of one second is part of the speech, unless the speech becomes too long. */
  async function expectCutInPauses(client: GrpcClient): Promise<void> {
    const said = await samplesOf(join(ROOT, 'demo/samples/speech/models.flac'));
    const content = wavFile(pcm16(joined([said, new Float32Array(0.8 * 16_000), said])));
    const transcribed = async (vadParameters: MessageInitShape<typeof VadParametersSchema>) => {
      const options = { vadFilter: true, vadParameters };
      return client.value(transcribe, { audio: { content }, options });
    };
    const [whole, cut] = [await transcribed({}), await transcribed({ maxSpeechDurationS: 8 })];
    expect(whole.speechSeconds - cut.speechSeconds).to.be.within(0.9, 1.4);
    expect(cut.text.match(/every model is downloaded/gi)).to.have.length(2);
    const failure = await client.failure(transcribe, {
      audio: { content },
      options: { vadParameters: { maxSpeechDurationS: 8 } },
    });
    expect(failure).to.include({ code: 'INVALID_ARGUMENT' });
    expect(failure.message).to.include('options.vad_parameters needs vad_filter');
  }

  it('is an error at startup if it was not downloaded', async () => {
    const volume = await makeSpeechVolume();
    try {
      const env = { ...SPEECH_ONLY, HF_HUB_CACHE: volume.cacheDir, FEATURE_VAD: 'true' };
      const { code, stderr } = await runHere(env);
      expect(code).not.to.equal(0);
      expect(stderr).to.include('silero_vad_v6.onnx').and.to.include('FEATURE_VAD');
    } finally {
      await volume.remove();
    }
  });
}
