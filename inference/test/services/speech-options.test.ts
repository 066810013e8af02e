import { expect } from 'chai';
import { parseSpeechOptions } from '../../src/services/speech-options.js';

describe('the options of a transcription', () => {
  it('have the defaults of the contract', () => {
    expect(parseSpeechOptions(undefined)).to.deep.equal({
      language: undefined,
      task: 'transcribe',
      timestamps: 'segment',
      initialPrompt: undefined,
      hotwords: undefined,
      temperatures: [0, 0.2, 0.4, 0.6, 0.8, 1],
      beamSize: 1,
      patience: 1,
      lengthPenalty: 1,
      compressionRatioThreshold: 2.4,
      logProbThreshold: -1,
      noSpeechThreshold: 0.6,
      conditionOnPreviousText: true,
      hallucinationSilenceSeconds: undefined,
      vadFilter: false,
      clipStartSeconds: 0,
      clipEndSeconds: undefined,
    });
  });
});
