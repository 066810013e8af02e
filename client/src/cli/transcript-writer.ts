import type { Segment } from '../speech.js';
import type { TranscribeSummary } from '../speech-stream.js';
import { srtCue, VTT_HEADER, vttCue } from './subtitles.js';
import type { TextSink } from './text-sink.js';
import { visible } from './visible.js';

/** How a transcript is written. */
export type TranscriptFormat = 'text' | 'json' | 'srt' | 'vtt';

/** Writes a transcript while it comes. */
export interface TranscriptWriter {
  segment(segment: Segment): Promise<void>;
  summary(summary: TranscribeSummary): Promise<void>;
  /** Nothing more will come: leaves what was written in order. */
  broken(): Promise<void>;
}

/** What the writer says of the audio. */
export interface AudioName {
  readonly file: string;
  /** True: the text's line begins with the name, for there are several. */
  readonly named: boolean;
}

/** The writer for a format. */
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

/** One line an audio file; each segment is added as soon as it is final. */
function textWriter(sink: TextSink, { file, named }: AudioName): TranscriptWriter {
  let begun = false;
  const begin = async () => {
    if (!begun && named) await sink.write(`${visible(file)}: `);
    begun = true;
  };
  return {
    segment: async ({ text }) => {
      const first = !begun;
      await begin();
      await sink.write(first ? text.trimStart() : text);
    },
    summary: async () => {
      await begin();
      await sink.write('\n');
    },
    broken: async () => {
      if (begun) await sink.write('\n');
    },
  };
}

/** One document an audio file, as Transcribe answers, with the file's name. */
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
    broken: async () => undefined,
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
    broken: async () => undefined,
  };
}
