/**
 * The one table of model families. A new family is its directory and a line here; for the compiler to accept it, a loader in loaders.ts and the
 * family's name in the manifest's types.
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

/** Without their type of item: the parent passes items on and never looks into them. */
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

/** How audio goes through a family; only speech families have one. */
export const TRANSCRIBERS: Readonly<Partial<Record<FamilyName, AnyTranscriber>>> = {
  whisper: transcribeWithWhisper,
  moonshine: transcribeWithMoonshine,
};
