import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { SentenceNetwork } from '../../src/models/sentence/network.js';
import { packTexts, type SentenceRecipe } from '../../src/models/sentence/preprocess.js';
import { newModel, node, tensor, writeModel } from '../../src/onnx/index.js';
import { OPTIONS } from '../support/paths.js';

const [FLOAT32, FLOAT64] = [1, 11];
const RECIPE: SentenceRecipe = {
  pooling: ['mean'],
  unknownModules: [],
  prompt: '',
  tokenizer: { settings: {}, lowerCase: false },
  positions: 8,
  vocabulary: 10,
  maxTokens: undefined,
  dimensions: undefined,
};
const TEXTS = packTexts([[3, 9], [5]], 100);

interface Form {
  readonly input?: string;
  readonly elementType?: number;
  /** Names of the token vectors and of their largest over all tokens, padding included. */
  readonly tokens?: string;
  readonly pooled?: string;
}

/** A text encoder whose token vectors have one number, the token's id. */
function encoder({
  input = 'input_ids',
  elementType = FLOAT32,
  tokens = 'hidden',
  pooled = 'largest',
}: Form): Uint8Array {
  const type = elementType === FLOAT32 ? 'float32' : 'float64';
  return writeModel(
    newModel({
      name: 'encoder',
      nodes: [
        node('Unsqueeze', [input, 'last'], ['wide']),
        node('Cast', ['wide'], [tokens], { to: elementType }),
        node('ReduceMax', [tokens], [pooled], { axes: [1], keepdims: 0 }),
      ],
      initializers: [tensor('last', [1], BigInt64Array.of(2n))],
      inputs: [{ name: input, elementType: 'int64', dims: ['texts', 'tokens'] }],
      outputs: [
        { name: tokens, elementType: type, dims: ['texts', 'tokens', 1] },
        { name: pooled, elementType: type, dims: ['texts', 1] },
      ],
    }),
  );
}

describe('the network of a sentence embedder', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-sentence-'));
  });
  after(() => rm(dir, { recursive: true }));

  async function vectorsOf(form: Form, recipe: Partial<SentenceRecipe> = {}): Promise<number[][]> {
    const path = join(dir, 'model.onnx');
    await writeFile(path, encoder(form));
    const network = await SentenceNetwork.open(path, { ...RECIPE, ...recipe }, OPTIONS);
    try {
      return (await network.run(TEXTS)).map((vector) => [...vector]);
    } finally {
      await network.close();
    }
  }

  it('pools the token vectors as the repository says, without padding', async () => {
    expect(await vectorsOf({ tokens: 'last_hidden_state' })).to.deep.equal([[6], [5]]);
    expect(await vectorsOf({ tokens: 'token_embeddings' }, { pooling: ['cls'] })).to.deep.equal([[3], [5]]);
  });

  it('returns the vectors that the graph pooled itself, whatever modules the repository names', async () => {
    const form = { tokens: 'last_hidden_state', pooled: 'sentence_embedding' };
    expect(await vectorsOf(form, { unknownModules: ['Dense'] })).to.deep.equal([[9], [100]]);
  });

  for (const [what, form, recipe, message] of [
    ['inputs', { input: 'pixels', tokens: 'last_hidden_state' }, {}, /to take input_ids, .*, got pixels\./],
    ['outputs', {}, {}, /to give one of sentence_embedding, .*, got hidden, largest\./],
    ['modules', { tokens: 'last_hidden_state' }, { unknownModules: ['Dense'] }, /Pooling, .*, got Dense too\. Choose/],
    ['numbers', { tokens: 'last_hidden_state', elementType: FLOAT64 }, {}, /last_hidden_state to hold float32\./],
  ] as const) {
    it(`names ${what} that it does not support`, async () => {
      const error = await vectorsOf(form, recipe).catch((reason: Error) => reason);
      expect(error).to.be.instanceOf(Error).with.property('message').that.matches(message);
    });
  }
});
