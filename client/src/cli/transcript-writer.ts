import type { Segment } from '../speech.js';
import type { TranscribeSummary } from '../speech-stream.js';
import { srtCue, VTT_HEADER, vttCue } from './subtitles.js';
import type { TextSink } from './text-sink.js';
import { visible } from './visible.js';

/** Output format of a transcript. */
export type TranscriptFormat = 'text' | 'json' | 'srt' | 'vtt';

/** Writes a transcript incrementally. */
export interface TranscriptWriter {
  segment(segment: Segment): Promise<void>;
  summary(summary: TranscribeSummary): Promise<void>;
  /** Completes the partial output after an error. */
  abort(): Promise<void>;
}

/** Name of the audio in the output. */
export interface AudioName {
  readonly file: string;
  /** Whether text output is prefixed with the name, as with several files. */
  readonly named: boolean;
}

/** Returns the writer for a format. */
export function transcriptWriter(format: TranscriptFormat, sink: TextSink, name: AudioName): TranscriptWriter {
  switch (format) {
    case 'text':
      return textWriter(sink, name);
    case 'json':
      return jsonWriter(sink, name);
    case 'srt':
      return cueWriter(sink, '', srtCue);
    case 'vtt':
      return cueWriter(sink, VTT_HEADER, vttCue);
  }
}

/** Writes one line per audio file; each segment is appended as soon as it is final. */
function textWriter(sink: TextSink, { file, named }: AudioName): TranscriptWriter {
  let started = false;
  const begin = async () => {
    if (!started && named) await sink.write(`${visible(file)}: `);
    started = true;
  };
  return {
    segment: async ({ text }) => {
      const first = !started;
      await begin();
      await sink.write(first ? text.trimStart() : text);
    },
    summary: async () => {
      await begin();
      await sink.write('\n');
    },
    abort: async () => {
      if (started) await sink.write('\n');
    },
  };
}

/** Writes one JSON document per audio file: the response of Transcribe and the file name. */
function jsonWriter(sink: TextSink, { file }: AudioName): TranscriptWriter {
  const segments: Segment[] = [];
  return {
    segment: async (segment) => {
      segments.push(segment);
    },
    summary: async (summary) => {
      const text = segments
        .map((segment) => segment.text)
        .join('')
        .trim();
      await sink.write(`${JSON.stringify({ file, text, ...summary, segments })}\n`);
    },
    abort: async () => undefined,
  };
}

function cueWriter(
  sink: TextSink,
  header: string,
  cue: (segment: Segment, number: number) => string,
): TranscriptWriter {
  let count = 0;
  const begin = async () => {
    if (count === 0 && header !== '') await sink.write(header);
  };
  return {
    segment: async (segment) => {
      await begin();
      count += 1;
      await sink.write(cue(segment, count));
    },
    summary: begin,
    abort: async () => undefined,
  };
}
