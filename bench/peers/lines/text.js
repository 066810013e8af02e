import { TEXTS } from '../../text/texts.js';
import { byCallers, inCalls } from '../callers.js';
import { startPython } from '../python.js';
import { startTei } from '../tei.js';
import { sameDirection, vectorOf } from './answers.js';

const MINILM = 'Xenova/all-MiniLM-L6-v2';
const GRAPH = 'onnx/model_quantized.onnx';
const DIMENSIONS = 384;
/** Turns of lone texts before the first that counts: 4,096 calls, so that both are compared as a service that has run for a while. */
const SETTLING_TURNS = 16;

export const TEXT = { LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: MINILM };

/** 256 texts, of these again and again. */
const repeated = (texts) => TEXTS.map((_, index) => texts[index % texts.length]);

export function text({ python, shared }) {
  const dir = `${shared}/models/${MINILM}`;
  const job = { dir, file: GRAPH, dimensions: DIMENSIONS };
  const fastembed = { peer: 'fastembed', start: () => startPython(python, '../text/fastembed_peer.py', job) };
  const tei = { peer: 'text-embeddings-inference', start: () => startTei(dir, GRAPH, TEXTS.length) };
  const line = (name, { peer, start }, texts, { size = 1, callers = 1 }) => {
    const calls = inCalls(texts, size);
    return {
      name: `text, MiniLM int8, ${name}`,
      peer,
      calls: calls.length,
      settling: size === 1 ? SETTLING_TURNS : 1,
      start,
      turns: [{ do: 'embed', with: callers === 1 ? [texts, size] : [texts, size, callers] }],
      ours: async (client) => {
        const answers = await byCallers(callers, calls, (one) => client.embedText(one, { model: 'text' }));
        return vectorOf(answers.at(-1));
      },
      compare: sameDirection,
    };
  };
  const short = repeated(TEXTS.filter((one) => one.split(' ').length <= 20).slice(0, 32));
  return [
    ...[fastembed, tei].map((peer) => line('one of 4 to 20 words a call, one caller', peer, short, {})),
    line('one of 4 to 20 words a call, 32 callers', tei, short, { callers: 32 }),
    ...[fastembed, tei].map((peer) => line('256 of 4 to 80 words in one call', peer, TEXTS, { size: TEXTS.length })),
  ];
}
