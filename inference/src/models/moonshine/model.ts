import { numberAt, readJsonObject } from '../../json.js';
import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { ItemContext, LoadedModel, LoadOptions, ModelFacts, ModelFiles, Outcome, RunContext } from '../model.js';
import { runItem, UNCANCELLED } from '../outcomes.js';
import { findBeside, readBeside, weightsOf } from '../repository.js';
import { detectVoiceActivity, openDetector, type VoiceActivityDetector } from '../silero/detector.js';
import { type DecoderTokens, MoonshineNetwork } from './network.js';
import { type TokensToText, tokensToText, toResult } from './postprocess.js';
import { fillUp, tokenLimit } from './preprocess.js';
import type { MoonshineResult, MoonshineWindow } from './window.js';

/**
 * Loads Moonshine: weights `encoder` and `decoder`, and `vad` if present. Throws when a file is missing or of the wrong
 * kind.
 */
export async function load(
  files: ModelFiles,
  options: LoadOptions,
): Promise<LoadedModel<MoonshineWindow, MoonshineResult>> {
  const { encoder, decoder } = weightsOf(files, 'encoder', 'decoder');
  const tokenizerPath = await findBeside(files.dir, decoder, 'tokenizer.json');
  if (tokenizerPath === undefined) throw new Error(`Expected ${files.id} to have a tokenizer.json in ${files.dir}.`);
  const tokenizerConfig = await readBeside(files.dir, decoder, 'tokenizer_config.json');
  const textOf = tokensToText(await readJsonObject(tokenizerPath), tokenizerConfig);
  const config = await readBeside(files.dir, decoder, 'config.json');
  const number = (name: string, otherwise: number) => numberAt(config, name) ?? otherwise;
  const tokens = { start: number('decoder_start_token_id', 1), end: number('eos_token_id', 2) };
  // Defaults for config.json: the sizes of Moonshine tiny.
  const headCount = number('decoder_num_key_value_heads', 8);
  const sizes = {
    layerCount: number('decoder_num_hidden_layers', 6),
    headCount,
    headSize: number('hidden_size', 288) / headCount,
  };
  const network = await MoonshineNetwork.open(encoder, decoder, sizes, options);
  try {
    const detector = await openDetector(files.weights.vad);
    return new Moonshine(network, detector, textOf, tokens, number('max_position_embeddings', 194));
  } catch (error) {
    await network.close();
    throw error;
  }
}

class Moonshine implements LoadedModel<MoonshineWindow, MoonshineResult> {
  readonly facts: ModelFacts = {
    dimensions: 0,
    batching: { shared: false, maxItems: 1, reason: 'utterances run at their true length, each alone' },
  };

  constructor(
    private readonly network: MoonshineNetwork,
    private readonly detector: VoiceActivityDetector | undefined,
    private readonly textOf: TokensToText,
    private readonly tokens: DecoderTokens,
    private readonly positions: number,
  ) {}

  async warmUp(): Promise<void> {
    const samples = new Float32Array(SPEECH_SAMPLE_RATE_HZ / 2);
    const [outcome] = await this.run([{ type: 'utterance', samples }], UNCANCELLED);
    if (outcome?.ok !== true) throw outcome?.error ?? new Error('The warm-up run gave no answer.');
  }

  async run(items: readonly MoonshineWindow[], context: RunContext): Promise<readonly Outcome<MoonshineResult>[]> {
    const outcomes: Outcome<MoonshineResult>[] = [];
    for (const [index, item] of items.entries()) {
      outcomes.push(await runItem(context, index, (own) => this.#runOne(item, own)));
    }
    return outcomes;
  }

  async #runOne(item: MoonshineWindow, context: ItemContext): Promise<MoonshineResult> {
    if (item.type === 'vad') return detectVoiceActivity(this.detector, item, context);
    const limit = tokenLimit(item.samples.length, this.positions);
    const decoded = await this.network.decode(fillUp(item.samples), this.tokens, limit, context);
    return toResult(decoded, this.textOf);
  }

  async close(): Promise<void> {
    await Promise.all([this.network.close(), this.detector?.close()]);
  }
}
