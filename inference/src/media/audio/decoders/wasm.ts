import type { DecodedBlock } from './decoder.js';

/** What every decoder of the wasm-audio-decoders family gives. */
interface WasmDecoded {
  readonly channelData: readonly Float32Array[];
  readonly samplesDecoded: number;
  readonly sampleRate: number;
}

/** Its samples as a block; none where nothing was decoded. */
export function blockOf(decoded: WasmDecoded): readonly DecodedBlock[] {
  if (decoded.samplesDecoded <= 0 || decoded.channelData.length === 0) return [];
  const channels = decoded.channelData.map((samples) => samples.subarray(0, decoded.samplesDecoded));
  return [{ channels, sampleRateHz: decoded.sampleRate }];
}

/** What libFLAC as WebAssembly gives. */
interface FlacDecoded extends WasmDecoded {
  readonly bitDepth: number;
}

/** As `blockOf`. The library takes the largest whole number for 1; WAV, and so the same audio as WAV, the one above it. */
export function flacBlockOf(decoded: FlacDecoded): readonly DecodedBlock[] {
  const full = 2 ** (decoded.bitDepth - 1);
  const channelData = decoded.channelData.map((samples) =>
    samples.map((sample) => Math.round(sample * (full - 1)) / full),
  );
  return blockOf({ ...decoded, channelData });
}

/** Counts a decoder's complaints: one sentence for the caller however many there were, and none of the library's own words. */
export class ErrorCount {
  #count = 0;

  add(errors: readonly unknown[]): void {
    this.#count += errors.length;
  }

  warnings(format: string): readonly string[] {
    if (this.#count === 0) return [];
    return [`${this.#count} damaged ${format} frames were passed over.`];
  }
}
