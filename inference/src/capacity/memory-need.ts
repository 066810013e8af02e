/** What a worker of a model needs in memory, by the model's family and by the form of its weights. Pure. */
import { type FoundModel, isExternalData } from '@heimdex/cache';
import { MIB, sumSizes } from '@heimdex/common';

export interface MemoryNeed {
  /** Of each worker alone: what the runtime packs or converts, and what one ordinary run takes. Bytes. */
  readonly ownBytes: number;
  /** Pages of the model's files, which all workers of the model share. Bytes. */
  readonly mappedBytes: number;
}

/** A process of Node.js with the runtime in it, before its model: its own memory and its libraries. */
const BASE: MemoryNeed = { ownBytes: 80 * MIB, mappedBytes: 40 * MIB };

/** Relative to the size of a graph's files. */
interface Factors {
  /** Read from the mapped file. */
  readonly mapped: number;
  /** Packed into memory of the process. */
  readonly packed: number;
  /** What one run takes, of the bytes that the graph has in 8 bits. */
  readonly run: number;
}

/**
 * Compiled graphs in 8 bits, by family and role. Measured by bench/default-stack/memory.js: Whisper medium (a window of 30 s, whose
 * keys and values are 6 times the cross attention's weights), SigLIP so400m, BGE-M3 (only the requested rows of the table of tokens
 * are read into memory).
 */
const COMPILED: Readonly<Record<string, Factors>> = {
  'whisper encoder': { mapped: 0.05, packed: 0.95, run: 0.9 },
  'whisper cross': { mapped: 0.05, packed: 0.95, run: 6.2 },
  'whisper decoder': { mapped: 0.05, packed: 0.95, run: 0.05 },
  'siglip vision': { mapped: 0.05, packed: 1, run: 0.1 },
  'siglip text': { mapped: 0.05, packed: 0.85, run: 0.05 },
  'sentence model': { mapped: 0.05, packed: 0.4, run: 0.2 },
};
const OTHER_COMPILED: Factors = { mapped: 1, packed: 0.5, run: 0.5 };

/**
 * The least that a window of 30 s takes, in all graphs, with its arrays that wait for a collection: it does not shrink as the weights do. Whisper
 * base, one worker, files of 50 s with word times one after the other for minutes: 517 MiB of its own at most.
 */
const MIN_SPEECH_RUN_BYTES = 300 * MIB;

/** Bytes of a weight over those in 8 bits. */
const WIDTHS: Readonly<Record<string, number>> = { fp16: 2, fp32: 4 };

/** Other repositories' graphs: weights in memory, prepacked, and what a run needs, over the size of the files. Measured: 1.0 to 1.6 ... */
const EXPORTED = 1.5;
/** ... and of speech in 8 bits, whose keys and values are float32, 1.9 to 2.6. */
const EXPORTED_SPEECH_INT8 = 2.6;
const INT8_VARIANTS = /^(q8|int8|uint8|quantized)$/;

/**
 * A worker on a GPU, whatever its model, whose weights lie in the GPU's memory: CUDA's libraries and buffers. Measured on an H200:
 * 0.85 GB with small models, 0.9 GB with the default ones (bench/gpu).
 */
const ON_GPU: MemoryNeed = { ownBytes: 1024 * MIB, mappedBytes: 0 };

type Sized = Pick<FoundModel, 'family' | 'files' | 'variant' | 'compiled'>;

/** What one worker of a model needs of the machine's memory, not of a GPU's. */
export function memoryNeed({ family, files, variant, compiled }: Sized, device: 'cpu' | 'cuda' = 'cpu'): MemoryNeed {
  if (device === 'cuda') return ON_GPU;
  if (compiled === undefined) {
    const weights = files.filter(({ path, weights }) => weights !== undefined || isExternalData(path));
    const bytes = sumSizes(weights);
    const factor = family === 'whisper' && INT8_VARIANTS.test(variant) ? EXPORTED_SPEECH_INT8 : EXPORTED;
    return { ownBytes: BASE.ownBytes + bytes * factor, mappedBytes: BASE.mappedBytes };
  }
  const width = WIDTHS[compiled.precision] ?? 1;
  let { ownBytes, mappedBytes } = BASE;
  let runBytes = 0;
  for (const { role, files: graphFiles } of compiled.graphs) {
    const bytes = sumSizes(graphFiles);
    const factors = COMPILED[`${family} ${role}`] ?? OTHER_COMPILED;
    const { mapped, packed } = inWidth(factors, compiled.precision);
    ownBytes += bytes * packed;
    mappedBytes += bytes * mapped;
    runBytes += (bytes / width) * factors.run;
  }
  return { ownBytes: ownBytes + Math.max(runBytes, family === 'whisper' ? MIN_SPEECH_RUN_BYTES : 0), mappedBytes };
}

/** Float32 is read from the mapped file; half precision is converted to float32 in memory, as a CPU has no kernels for it. */
function inWidth({ mapped, packed }: Factors, precision: string): Pick<Factors, 'mapped' | 'packed'> {
  if (precision === 'fp32') return { mapped: 1, packed: 0 };
  return precision === 'fp16' ? { mapped: 1, packed: 2 } : { mapped, packed };
}
