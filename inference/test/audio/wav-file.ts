/** Creates WAV content for the tests, valid or not. */

export interface WavOptions {
  /** Format tag: 1 PCM, 3 float, 6 A-law, 7 mu-law. */
  readonly tag?: number;
  readonly bits?: number;
  readonly channels?: number;
  readonly rateHz?: number;
  /** As WAVE_FORMAT_EXTENSIBLE. */
  readonly extensible?: boolean;
  /** Header values that differ from the content. */
  readonly dataSize?: number;
  readonly riffSize?: number;
  readonly frameBytes?: number;
  /** Chunks between `fmt ` and `data`. */
  readonly between?: Uint8Array;
  readonly magic?: string;
}

/** One chunk with its header, padded to even length. */
export function chunk(id: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + body.length + (body.length % 2));
  bytes.set(Buffer.from(id, 'latin1'));
  new DataView(bytes.buffer).setUint32(4, body.length, true);
  bytes.set(body, 8);
  return bytes;
}

/** Creates a file of `body`, samples in the format of the options. */
export function wavFile(body: Uint8Array, options: WavOptions = {}): Uint8Array {
  const { tag = 1, bits = 16, channels = 1, rateHz = 16_000, extensible = false } = options;
  const frameBytes = options.frameBytes ?? (bits / 8) * channels;
  const format = new DataView(new ArrayBuffer(extensible ? 40 : 16));
  format.setUint16(0, extensible ? 0xfffe : tag, true);
  format.setUint16(2, channels, true);
  format.setUint32(4, rateHz, true);
  format.setUint32(8, rateHz * frameBytes, true);
  format.setUint16(12, frameBytes, true);
  format.setUint16(14, bits, true);
  if (extensible) {
    format.setUint16(16, 22, true);
    format.setUint16(18, bits, true);
    format.setUint16(24, tag, true);
  }
  const data = chunk('data', body);
  if (options.dataSize !== undefined) new DataView(data.buffer).setUint32(4, options.dataSize, true);
  const between = options.between ?? new Uint8Array(0);
  const rest = Buffer.concat([Buffer.from('WAVE'), chunk('fmt ', new Uint8Array(format.buffer)), between, data]);
  const head = Buffer.alloc(8);
  head.write(options.magic ?? 'RIFF', 'latin1');
  head.writeUInt32LE((options.riffSize ?? rest.length) >>> 0, 4);
  return new Uint8Array(Buffer.concat([head, rest]));
}

/** A sine of half scale. */
export function tone(hertz: number, rateHz: number, seconds: number): Float32Array {
  return Float32Array.from({ length: Math.round(rateHz * seconds) }, (_, index) => {
    return 0.5 * Math.sin((2 * Math.PI * hertz * index) / rateHz);
  });
}

/** Repeats each sample per channel, in 16 bits. */
export function pcm16(samples: Float32Array, channels = 1): Uint8Array {
  const bytes = new Uint8Array(samples.length * channels * 2);
  const view = new DataView(bytes.buffer);
  samples.forEach((sample, index) => {
    for (let channel = 0; channel < channels; channel++) {
      view.setInt16((index * channels + channel) * 2, Math.round(sample * 32_767), true);
    }
  });
  return bytes;
}
