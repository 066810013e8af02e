/** Subtitles: SubRip (SRT) and WebVTT. */
import type { Segment } from '../speech.js';

/** One subtitle. */
export type Cue = Pick<Segment, 'startSeconds' | 'endSeconds' | 'text'>;

/** Formats a SubRip cue; `number` counts from 1. */
export function srtCue(cue: Cue, number: number): string {
  return `${number}\n${span(cue, ',')}\n${cueText(cue)}\n\n`;
}

/** Header of a WebVTT file. */
export const VTT_HEADER = 'WEBVTT\n\n';

/** Formats a WebVTT cue. */
export function vttCue(cue: Cue): string {
  const text = cueText(cue).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `${span(cue, '.')}\n${text}\n\n`;
}

function span({ startSeconds, endSeconds }: Cue, point: string): string {
  return `${time(startSeconds, point)} --> ${time(Math.max(startSeconds, endSeconds), point)}`;
}

/** Removes blank lines, which would end the cue. */
function cueText({ text }: Cue): string {
  return text.trim().replaceAll(/\s*\n\s*/g, '\n');
}

function time(seconds: number, point: string): string {
  const ms = Math.max(0, Math.round(seconds * 1000));
  const two = (number: number) => String(number).padStart(2, '0');
  const clock = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60, Math.floor(ms / 1000) % 60]
    .map(two)
    .join(':');
  return `${clock}${point}${String(ms % 1000).padStart(3, '0')}`;
}
