import { visible } from '@heimdex/common';
import {
  SUBTITLE_HEADERS,
  type SubtitleFormat,
  SubtitleFormatter,
  type SubtitleOptions,
} from '@heimdex/common/subtitles';
import type { Segment } from '../speech.js';
import type { TranscribeSummary } from '../speech-stream.js';
import type { TextSink } from './text-sink.js';
import { toJson } from './to-json.js';

/** Output format of a transcript. */
export type TranscriptFormat = 'text' | 'json' | SubtitleFormat;
/** Output format of words with their times. */
export type WordsFormat = 'tsv' | 'json';

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
export function transcriptWriter(
  format: TranscriptFormat,
  sink: TextSink,
  name: AudioName,
  subtitles: SubtitleOptions,
): TranscriptWriter {
  switch (format) {
    case 'text':
      return textWriter(sink, name);
    case 'json':
      return jsonWriter(sink, name);
    case 'srt':
    case 'vtt':
      return cueWriter(sink, format, subtitles);
  }
}

/** Returns the writer for words with their times. */
export function wordsWriter(format: WordsFormat, sink: TextSink, name: AudioName): TranscriptWriter {
  return format === 'tsv' ? wordLinesWriter(sink) : wordsJsonWriter(sink, name);
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
      await sink.write(`${toJson({ file, text, ...summary, segments })}\n`);
    },
    abort: async () => undefined,
  };
}

function cueWriter(sink: TextSink, format: SubtitleFormat, options: SubtitleOptions): TranscriptWriter {
  const formatter = new SubtitleFormatter(format, options);
  let begun = false;
  const begin = async () => {
    if (!begun && SUBTITLE_HEADERS[format] !== '') await sink.write(SUBTITLE_HEADERS[format]);
    begun = true;
  };
  return {
    segment: async (segment) => {
      await begin();
      const cues = formatter.segment(segment);
      if (cues !== '') await sink.write(cues);
    },
    summary: begin,
    abort: async () => undefined,
  };
}

/** A line a word: start and end in milliseconds, as Whisper's own tsv has them, and the word. */
function wordLinesWriter(sink: TextSink): TranscriptWriter {
  let begun = false;
  const begin = async () => {
    if (!begun) await sink.write('start\tend\ttext\n');
    begun = true;
  };
  return {
    segment: async ({ words }) => {
      await begin();
      const lines = words.map(({ text, startSeconds, endSeconds }) => {
        const word = text.trim().replaceAll(/\s+/g, ' ');
        return `${Math.round(startSeconds * 1000)}\t${Math.round(endSeconds * 1000)}\t${word}\n`;
      });
      if (lines.length > 0) await sink.write(lines.join(''));
    },
    summary: begin,
    abort: async () => undefined,
  };
}

/** Writes one JSON document per audio file: its words only. */
function wordsJsonWriter(sink: TextSink, { file }: AudioName): TranscriptWriter {
  const words: Segment['words'][number][] = [];
  return {
    segment: async (segment) => {
      words.push(...segment.words);
    },
    summary: async () => {
      await sink.write(`${toJson({ file, words })}\n`);
    },
    abort: async () => undefined,
  };
}
