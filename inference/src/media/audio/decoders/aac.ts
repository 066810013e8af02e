import { isDeepStrictEqual } from 'node:util';
import { OVERLAP_MIN_SECONDS } from '@heimdex/common';
import type { InferenceError } from '../../../errors.js';
import { joinAll } from '../../bytes.js';
import { adtsContent } from '../adts.js';
import { HOLE_MIN_SECONDS } from '../timeline.js';
import { audioUnreadable } from '../undecodable.js';
import { AAC_FRAME_MAX_BYTES, type AacConfig, adtsHeader, parseAacConfig, parseAdtsHeader } from './aac-config.js';
import { type AacAudio, loadAacLibrary } from './aac-library.js';
import { beginsWithProgramConfig, programConfigOf } from './aac-program-config.js';
import type { DecodedBlock } from './decoder.js';
import type { AudioPacket, PacketDecoder, PacketFormat, TimedBlock } from './packet-decoder.js';

/** Samples per frame, before SBR doubles them. */
const FRAME_SAMPLES = 1_024;
/**
 * Samples by which the decoder's SBR filters delay the doubled output. They are no part of the encoder's delay that edit lists
 * and tags tell, and FFmpeg returns them.
 */
const SBR_DELAY_SAMPLES = 962;
/** Frames decoded before a segment to restore the state of the decoder's overlap and SBR. */
const WARM_UP_FRAMES = 8;
/** The first segment is short: the reader can start early. */
const FIRST_SEGMENT_FRAMES = 200;
/** Maximum samples per segment, of all channels: a few tens of megabytes. */
const SEGMENT_FRAMES = 1_300;
const MANY_CHANNELS_SEGMENT_FRAMES = 400;
/** A damaged segment is bisected down to this many frames, which become silence; at most that many times without one that is good. */
const DAMAGED_FRAMES = 4;
const SPLITS_MAX = 60;
/** Segments bisected at a beginning of SBR, per audio file: some ten for each. */
const SBR_SPLITS_MAX = 400;

/**
 * Times that go back, or come closer than the frames last, per audio file. Each begins a segment, whose samples may all be before those
 * already read.
 */
const JUMPS_BACK_MAX = 4_000;
const LIMITS = { splits: SPLITS_MAX, jumpsBack: JUMPS_BACK_MAX };

/** SBR begins within a segment: FFmpeg then returns twice the samples at a rate that it does not tell. */
class SbrBegins extends Error {}

/**
 * Creates a decoder of AAC-LC and HE-AAC: FFmpeg as WebAssembly, which decodes files. Frames are decoded in segments, each as an
 * ADTS stream with the preceding frames; the result equals that of one long stream. A segment ends at its maximum length, at a
 * gap in the times or where they overlap, independent of how the audio arrives.
 */
export async function createAacDecoder(format: PacketFormat, limits = LIMITS): Promise<PacketDecoder> {
  const config = format.description === undefined ? undefined : parseAacConfig(format.description);
  return new AacDecoder(await loadAacLibrary(), config, limits);
}

class AacDecoder implements PacketDecoder {
  #packets: AudioPacket[] = [];
  #config: AacConfig | undefined;
  #before: readonly Uint8Array[] = [];
  #segmentFrames = FIRST_SEGMENT_FRAMES;
  /** Time of the last packet, as the container tells it, and its end. */
  #lastSeconds: number | undefined;
  #endSeconds = 0;
  #lostFrames = 0;
  #splits = 0;
  #sbrSplits = 0;
  #jumpsBack = 0;
  /** Ends the audio after the blocks before it. */
  #failure: InferenceError | undefined;
  /** Frames came before any list of their channels. */
  #withoutLayout = false;

  /** Undefined: each packet is an ADTS frame with its header. */
  constructor(
    private readonly open: (content: ArrayBuffer) => Promise<AacAudio>,
    private readonly config: AacConfig | undefined,
    private readonly limits: typeof LIMITS,
  ) {}

  get warnings(): readonly string[] {
    const lost = this.#lostFrames === 0 ? [] : [`${this.#lostFrames} damaged AAC frames were replaced by silence.`];
    // At the end of the audio nobody asks for more, which would throw it.
    return this.#failure === undefined ? lost : [...lost, this.#failure.message];
  }

  async decode({ data, durationSeconds, timestampSeconds: seconds }: AudioPacket): Promise<readonly TimedBlock[]> {
    const config = this.#configOf(data);
    if (config === undefined || data.length > AAC_FRAME_MAX_BYTES || data.length === 0) {
      this.#lostFrames += 1;
      return [];
    }
    // The frames of a Matroska block may have the time of the block.
    const timestampSeconds = seconds === this.#lastSeconds ? this.#endSeconds : seconds;
    const packet = { data, durationSeconds, timestampSeconds };
    this.#lastSeconds = seconds;
    this.#endSeconds = timestampSeconds + FRAME_SAMPLES / config.coreRateHz;
    const blocks: TimedBlock[] = [];
    if (this.#isApart(packet, config)) blocks.push(...(await this.flush()));
    if (!isDeepStrictEqual(this.#config, config)) this.#before = [];
    this.#config = config;
    this.#packets.push(packet);
    if (this.#packets.length >= this.#segmentFrames) blocks.push(...(await this.flush()));
    return blocks;
  }

  async flush(): Promise<readonly TimedBlock[]> {
    const failure = this.#failure;
    if (failure !== undefined) {
      this.#failure = undefined;
      throw failure;
    }
    const [first] = this.#packets;
    const config = this.#config;
    if (config === undefined && this.#withoutLayout) throw withoutLayout();
    if (first === undefined || config === undefined) return [];
    const frames = this.#packets.map(({ data }) => data);
    this.#packets = [];
    const many = config.channelConfiguration > 2 || config.channelConfiguration === 0;
    this.#segmentFrames = many ? MANY_CHANNELS_SEGMENT_FRAMES : SEGMENT_FRAMES;
    const blocks = await this.#decodeFrames(frames, config);
    let seconds = first.timestampSeconds;
    return blocks.map((block) => {
      const delaySamples = block.sampleRateHz >= 2 * config.coreRateHz ? SBR_DELAY_SAMPLES : 0;
      const timestampSeconds = seconds - delaySamples / block.sampleRateHz;
      seconds += (block.channels[0]?.length ?? 0) / block.sampleRateHz;
      return { ...block, timestampSeconds };
    });
  }

  close(): void {
    this.#packets = [];
    this.#before = [];
  }

  /** Undefined: damaged, or the list of its channels is missing. */
  #configOf(packet: Uint8Array): AacConfig | undefined {
    const config = this.config ?? parseAdtsHeader(packet);
    if (config === undefined || config.channelConfiguration !== 0) return config;
    // Some encoders write the list into the first frame only.
    const own = programConfigOf(this.#contentOf(packet));
    const programConfig = own ?? config.programConfig ?? this.#config?.programConfig;
    this.#withoutLayout ||= programConfig === undefined;
    return programConfig && { ...config, programConfig };
  }

  #contentOf(packet: Uint8Array): Uint8Array {
    return this.config === undefined ? adtsContent(packet) : packet;
  }

  /** Returns whether a packet does not continue the previous ones, by time or configuration. */
  #isApart(packet: AudioPacket, config: AacConfig): boolean {
    const [first] = this.#packets;
    const last = this.#packets.at(-1);
    if (first === undefined || last === undefined) return false;
    const endSeconds = first.timestampSeconds + (this.#packets.length * FRAME_SAMPLES) / config.coreRateHz;
    const offset = packet.timestampSeconds - endSeconds;
    const goesBack = packet.timestampSeconds < last.timestampSeconds || offset < -OVERLAP_MIN_SECONDS;
    if (goesBack) this.#countJumpBack();
    return !isDeepStrictEqual(this.#config, config) || goesBack || offset > HOLE_MIN_SECONDS;
  }

  #countJumpBack(): void {
    this.#jumpsBack += 1;
    if (this.#jumpsBack <= this.limits.jumpsBack) return;
    throw audioUnreadable('The times of the AAC go back in too many positions.');
  }

  async #decodeFrames(frames: readonly Uint8Array[], config: AacConfig): Promise<readonly DecodedBlock[]> {
    if (this.#failure !== undefined) return [];
    try {
      const block = await this.#decodeSegment(frames, config);
      this.#splits = 0;
      this.#before = [...this.#before, ...frames].slice(-WARM_UP_FRAMES);
      return [block];
    } catch (error) {
      if (error instanceof SbrBegins) return this.#decodeBeforeAndAfterSbr(frames, config);
      this.#splits += 1;
      if (this.#splits > this.limits.splits) {
        // What was decoded before is good.
        this.#failure ??= audioUnreadable('The AAC is damaged in too many positions.', error);
        return [];
      }
      if (frames.length <= DAMAGED_FRAMES) {
        this.#lostFrames += frames.length;
        this.#before = [];
        return [{ channels: [new Float32Array(frames.length * FRAME_SAMPLES)], sampleRateHz: config.coreRateHz }];
      }
      const half = frames.length >> 1;
      return [
        ...(await this.#decodeFrames(frames.slice(0, half), config)),
        ...(await this.#decodeFrames(frames.slice(half), config)),
      ];
    }
  }

  /**
   * Bisects a segment in which SBR begins (AAC-LC followed by HE-AAC with the same core, as broadcasters and players' lists
   * concatenate them), until FFmpeg is opened with SBR's first frame.
   */
  async #decodeBeforeAndAfterSbr(frames: readonly Uint8Array[], config: AacConfig): Promise<readonly DecodedBlock[]> {
    this.#sbrSplits += 1;
    if (this.#sbrSplits > SBR_SPLITS_MAX) {
      throw audioUnreadable('The AAC changes between AAC-LC and HE-AAC in too many positions.');
    }
    if (frames.length === 1) {
      this.#before = [];
      return this.#decodeFrames(frames, config);
    }
    const half = frames.length >> 1;
    const first = await this.#decodeFrames(frames.slice(0, half), config);
    return [...first, ...(await this.#decodeFrames(frames.slice(half), config))];
  }

  async #decodeSegment(frames: readonly Uint8Array[], config: AacConfig): Promise<DecodedBlock> {
    // FFmpeg drops the first frame of a stream: at the beginning of the audio it gets that one twice.
    const before = this.#before.length === 0 ? frames.slice(0, 1) : this.#before;
    const audioFile = await this.open(this.#adts([...before, ...frames], config));
    try {
      const { sampleRate, channelCount } = audioFile;
      const frameSamples = sampleRate >= 2 * config.coreRateHz ? 2 * FRAME_SAMPLES : FRAME_SAMPLES;
      const decoded = audioFile.decode();
      const frameCount = this.#before.length + frames.length;
      if (frameCount > 1 && decoded.length > channelCount * frameSamples * (frameCount + 0.5)) throw new SbrBegins();
      return { channels: this.#fit(decoded, channelCount, frames.length, frameSamples), sampleRateHz: sampleRate };
    } finally {
      audioFile.dispose();
    }
  }

  /** Separates the channels. The end of the decoded samples is the end of the segment; the beginning is warm-up. */
  #fit(decoded: Float32Array, channelCount: number, frameCount: number, frameSamples: number): Float32Array[] {
    const expected = frameCount * frameSamples;
    const available = Math.floor(decoded.length / channelCount);
    this.#lostFrames += Math.max(0, Math.round((expected - available) / frameSamples));
    return Array.from({ length: channelCount }, (_, channel) => {
      const samples = new Float32Array(expected);
      const first = Math.max(0, expected - available);
      let at = Math.max(0, available - expected) * channelCount + channel;
      for (let index = first; index < expected; index++, at += channelCount) samples[index] = decoded[at] ?? 0;
      return samples;
    });
  }

  #adts(frames: readonly Uint8Array[], config: AacConfig): ArrayBuffer {
    const parts = frames.flatMap((frame) => {
      if (config.channelConfiguration === 0) return this.#withChannels(this.#contentOf(frame), config);
      return this.config === undefined ? [frame] : [Uint8Array.from(adtsHeader(config, frame.length)), frame];
    });
    return joinAll(parts).buffer;
  }

  /** A frame with the list of its channels: FFmpeg forgets that of the first one. */
  #withChannels(content: Uint8Array, config: AacConfig): Uint8Array[] {
    const list = beginsWithProgramConfig(content) ? undefined : config.programConfig;
    const parts = list === undefined ? [content] : [list, content];
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    return length > AAC_FRAME_MAX_BYTES ? [] : [Uint8Array.from(adtsHeader(config, length)), ...parts];
  }
}

function withoutLayout(): InferenceError {
  return audioUnreadable(
    'AAC with channel configuration 0 is not supported without a program config element, which lists its channels.',
  );
}
