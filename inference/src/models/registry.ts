/**
 * The table of model families. To add a family, create its directory and add a line here. The compiler then requires a
 * loader in loaders.ts and the family's name in the manifest's types.
 */
import type { FamilySpec } from './model.js';
import { moonshineSpec } from './moonshine/spec.js';
import { transcribeWithMoonshine } from './moonshine/transcribe.js';
import { sentenceSpec } from './sentence/spec.js';
import { siglipSpec } from './siglip/spec.js';
import type { Transcriber } from './speech/speech.js';
import { whisperSpec } from './whisper/spec.js';
import { transcribeWithWhisper } from './whisper/transcribe.js';
import { yunetSpec } from './yunet/spec.js';

/** Without item types: the parent passes items on and does not inspect them. */
export type AnySpec = FamilySpec<never>;
type AnyTranscriber = Transcriber<unknown, never>;

export const SPECS = {
  whisper: whisperSpec,
  moonshine: moonshineSpec,
  siglip: siglipSpec,
  sentence: sentenceSpec,
  yunet: yunetSpec,
} as const satisfies Record<string, AnySpec>;

export type FamilyName = keyof typeof SPECS;

/** Transcription function of a family; only speech families have one. */
export const TRANSCRIBERS: Readonly<Partial<Record<FamilyName, AnyTranscriber>>> = {
  whisper: transcribeWithWhisper,
  moonshine: transcribeWithMoonshine,
};
