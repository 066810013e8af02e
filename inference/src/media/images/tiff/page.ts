import type { InferenceError } from '../../../errors.js';
import { refuseImage } from '../errors.js';
import { readTiffDirectories, TAG, type TiffDirectory } from './directories.js';

/** The chosen image of a TIFF file and its sample layout. */
export interface TiffPage {
  /** The directory of the page, and the index of its sub-directory if that is the image. */
  readonly directory: TiffDirectory;
  readonly subifd: number | undefined;
  readonly sampleFormat: 'uint' | 'float';
  readonly bitsPerSample: number;
  /** Colour samples, and all samples per pixel. */
  readonly colourSamples: number;
  readonly samples: number;
  /** Whether the first sample after the colours is alpha. */
  readonly hasAlpha: boolean;
  readonly hasProfile: boolean;
  readonly whiteIsZero: boolean;
}

/** Maximum samples per pixel; satellite images have a dozen. */
export const MAX_SAMPLES = 32;
const REDUCED_OR_MASK = 1 | 4;
const CFA = 32_803;
const LINEAR_RAW = 34_892;
const COLOUR_SAMPLES: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3 };
const OTHER_COLOURS: Readonly<Record<number, string>> = {
  4: 'a transparency mask',
  8: 'CIELAB',
  9: 'ICCLAB',
  10: 'ITULAB',
};
const ASSOCIATED = 1;
const UNASSOCIATED = 2;
const PALETTE = 3;
const YCBCR = 6;
const JPEG = 7;
/** Compressions of black and white. */
const CCITT: readonly number[] = [2, 3, 4];
/** What the decoder supports. */
const COMPRESSIONS: readonly number[] = [1, 2, 3, 4, 5, 7, 8, 32_771, 32_773, 32_946];
const OTHER_COMPRESSIONS: Readonly<Record<number, string>> = {
  6: 'old-style JPEG',
  9: 'JBIG',
  10: 'JBIG',
  33003: 'JPEG 2000',
  33004: 'JPEG 2000',
  33005: 'JPEG 2000',
  34661: 'JBIG',
  34712: 'JPEG 2000',
  34887: 'LERC',
  34925: 'LZMA',
  34933: 'PNG',
  34934: 'JPEG XR',
  50000: 'Zstandard',
  50001: 'WebP',
  50002: 'JPEG XL',
  52546: 'JPEG XL',
};
/** Proprietary camera compressions. */
const RAW_COMPRESSIONS: readonly number[] = [32_767, 32_769, 32_770, 34_713, 65_000, 65_535];
const DEPTHS = { uint: [1, 2, 4, 8, 16, 32], float: [32] } as const;
const PLANES = 'one whose samples lie in separate planes';
const CONVERT = 'Convert it to 8 or 16 bits a sample, uncompressed or with LZW, Deflate or JPEG compression.';

function refuse(what: string, advice = CONVERT): InferenceError {
  return refuseImage('TIFF', what, advice);
}

/**
 * Chooses the image that is read: the first that is neither a reduced copy nor a mask of another, a page before a SubIFD.
 * Undefined where there is no directory to be found (the decoder then says what is wrong). Throws IMAGE_UNREADABLE, by its
 * name, for a kind that is not read: camera raw files, whose only ready image is a thumbnail, and samples and compressions
 * that the decoder does not know or would get wrong.
 */
export function chooseTiffPage(content: Uint8Array): TiffPage | undefined {
  const directories = readTiffDirectories(content);
  refuseCameraRaw(directories);
  const chosen = choose(directories);
  return chosen === undefined ? undefined : describe(chosen);
}

interface Chosen {
  readonly directory: TiffDirectory;
  readonly page: TiffDirectory;
  readonly subifd: number | undefined;
}

function choose(directories: readonly TiffDirectory[]): Chosen | undefined {
  const page = directories.find(isFull);
  if (page !== undefined) return { directory: page, page, subifd: undefined };
  for (const parent of directories) {
    const subifd = parent.children.findIndex(isFull);
    if (subifd >= 0) return { directory: parent.children[subifd] as TiffDirectory, page: parent, subifd };
  }
  const [directory] = directories;
  return directory === undefined ? undefined : { directory, page: directory, subifd: undefined };
}

function isFull({ tags }: TiffDirectory): boolean {
  const kind = first(tags, TAG.newSubfileType, 0);
  return (kind & REDUCED_OR_MASK) === 0 && first(tags, TAG.subfileType, 1) !== 2 && tags.has(TAG.width);
}

function refuseCameraRaw(directories: readonly TiffDirectory[]): void {
  const all = directories.flatMap((directory) => [directory, ...directory.children]);
  const isDng = all.some(({ tags }) => tags.has(TAG.dngVersion));
  const isRaw = all.some(({ tags }) => {
    const photometric = first(tags, TAG.photometric, -1);
    return (
      photometric === CFA || photometric === LINEAR_RAW || RAW_COMPRESSIONS.includes(first(tags, TAG.compression, 1))
    );
  });
  if (!isDng && !isRaw) return;
  const name = isDng ? 'a DNG camera raw file' : 'a camera raw file (DNG or the like)';
  throw refuse(
    `${name}: it holds the values of a sensor and, ready to be shown, only a small preview`,
    'Develop it and send a JPEG.',
  );
}

function describe({ directory: { tags }, page, subifd }: Chosen): TiffPage {
  const compression = first(tags, TAG.compression, 1);
  if (!COMPRESSIONS.includes(compression)) {
    const name = OTHER_COMPRESSIONS[compression] ?? `number ${compression}`;
    throw refuse(`one with ${name} compression`);
  }
  const photometric = first(tags, TAG.photometric, 1);
  const colourSamples = COLOUR_SAMPLES[photometric];
  // The decoder converts YCbCr to RGB only within JPEG.
  if (colourSamples === undefined || (photometric === YCBCR && compression !== JPEG)) {
    const other = OTHER_COLOURS[photometric] ?? `photometric interpretation ${photometric}`;
    throw refuse(`one whose colours are ${photometric === YCBCR ? 'YCbCr' : other}`, 'Convert it to RGB or grey.');
  }
  const samples = first(tags, TAG.samplesPerPixel, 1);
  const withPalette = photometric === PALETTE && samples > 1;
  if (samples > MAX_SAMPLES || withPalette) {
    const what = `one of ${samples} samples a pixel${withPalette ? ', one of them for a palette' : ''}`;
    throw refuse(what, 'Convert it to RGB or grey.');
  }
  // OpenCV writes alpha without calling it so.
  const isUnnamedAlpha = !tags.has(TAG.extraSamples) && samples === colourSamples + 1 && colourSamples <= 3;
  const extra = isUnnamedAlpha ? UNASSOCIATED : first(tags, TAG.extraSamples, 0);
  const described = {
    directory: page,
    subifd,
    ...depthOf(tags, samples),
    colourSamples,
    samples,
    hasAlpha: samples > colourSamples && (extra === ASSOCIATED || extra === UNASSOCIATED),
    hasProfile: tags.has(TAG.iccProfile),
    whiteIsZero: photometric === 0,
  };
  refuseMisread(tags, compression, described);
  return described;
}

function depthOf(tags: TiffDirectory['tags'], samples: number): Pick<TiffPage, 'sampleFormat' | 'bitsPerSample'> {
  const bits = new Set((tags.get(TAG.bitsPerSample) ?? [1]).slice(0, samples));
  const [bitsPerSample = 1] = bits;
  const sampleFormat = formatOf(tags, samples, bitsPerSample);
  if (bits.size > 1 || !(DEPTHS[sampleFormat] as readonly number[]).includes(bitsPerSample)) {
    const kind = sampleFormat === 'float' ? 'floating-point samples of' : 'samples of';
    throw refuse(`one with ${kind} ${[...bits].join(' and ')} bits`);
  }
  return { sampleFormat, bitsPerSample };
}

/** Refuses what the decoder takes and gets wrong. */
function refuseMisread(tags: TiffDirectory['tags'], compression: number, page: TiffPage): void {
  const { sampleFormat, bitsPerSample, colourSamples, samples } = page;
  const isPlanar = samples > 1 && first(tags, TAG.planarConfiguration, 1) === 2;
  const isTiled = tags.has(TAG.tileWidth);
  const isAssociated = samples > colourSamples && first(tags, TAG.extraSamples, 0) === ASSOCIATED;
  const wrong: readonly (readonly [applies: boolean, what: string, advice?: string])[] = [
    // libvips reads planar strips but not planar tiles, and mixes the planes of grey and what lies beside it.
    [isPlanar && colourSamples === 1, `${PLANES} of grey and other samples`, 'Write it with interleaved samples.'],
    [isPlanar && isTiled, `${PLANES} of tiles`, 'Write it with interleaved samples.'],
    [bitsPerSample < 8 && samples > 1, 'one with several samples a pixel, each of fewer than 8 bits'],
    // libvips unpacks such tiles itself, and knows colours alone.
    [
      compression === JPEG && isTiled && samples > colourSamples,
      'one in tiles with JPEG compression of alpha or other samples',
      'Write it in strips, or with LZW or Deflate compression.',
    ],
    // libtiff takes any bits for black and white, and shows a black image.
    [
      CCITT.includes(compression) && (samples > 1 || bitsPerSample > 1),
      'one with CCITT compression of more than black and white',
    ],
    // libvips divides by alpha as if its largest value were that of a byte.
    [
      sampleFormat === 'uint' && bitsPerSample > 16 && isAssociated,
      `one with samples of ${bitsPerSample} bits that are multiplied by alpha`,
    ],
  ];
  for (const [applies, what, advice] of wrong) if (applies) throw refuse(what, advice);
}

function formatOf(tags: TiffDirectory['tags'], samples: number, bits: number): 'uint' | 'float' {
  const formats = new Set((tags.get(TAG.sampleFormat) ?? [1]).slice(0, samples));
  const [format = 1] = formats;
  // 4: undefined, which readers treat as unsigned.
  if (formats.size === 1 && (format === 1 || format === 4)) return 'uint';
  if (formats.size === 1 && format === 3) return 'float';
  const name = format === 2 ? `signed numbers of ${bits} bits` : format > 4 ? 'complex numbers' : 'of several kinds';
  throw refuse(`one whose samples are ${name}`);
}

function first(tags: TiffDirectory['tags'], tag: number, otherwise: number): number {
  return tags.get(tag)?.[0] ?? otherwise;
}
