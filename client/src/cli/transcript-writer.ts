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
  abort?(): Promise<void>;
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
      // The response of Transcribe and the file name.
      return documentWriter(sink, (segments, summary) => {
        const text = segments.map((segment) => segment.text).join('');
        return { file: name.file, text: text.trim(), ...summary, segments };
      });
    case 'srt':
    case 'vtt': {
      const formatter = new SubtitleFormatter(format, subtitles);
      return linesWriter(sink, SUBTITLE_HEADERS[format], (segment) => formatter.segment(segment));
    }
  }
}

/** Returns the writer for words with their times. */
export function wordsWriter(format: WordsFormat, sink: TextSink, name: AudioName): TranscriptWriter {
  return format === 'tsv'
    ? linesWriter(sink, 'start\tend\ttext\n', wordLines)
    : documentWriter(sink, (segments) => ({ file: name.file, words: segments.flatMap(({ words }) => words) }));
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

/** Writes one JSON document per audio file, at its end. */
function documentWriter(
  sink: TextSink,
  documentOf: (segments: readonly Segment[], summary: TranscribeSummary) => object,
): TranscriptWriter {
  const segments: Segment[] = [];
  return {
    segment: async (segment) => {
      segments.push(segment);
    },
    summary: async (summary) => {
      await sink.write(`${toJson(documentOf(segments, summary))}\n`);
    },
  };
}

/** Writes a header, and the lines of each segment as soon as it is final. */
function linesWriter(sink: TextSink, header: string, linesOf: (segment: Segment) => string): TranscriptWriter {
  let begun = false;
  const begin = async () => {
    if (!begun && header !== '') await sink.write(header);
    begun = true;
  };
  return {
    segment: async (segment) => {
      await begin();
      const lines = linesOf(segment);
      if (lines !== '') await sink.write(lines);
    },
    summary: begin,
  };
}

/** A line a word: start and end in milliseconds, as Whisper's own tsv has them, and the word. */
function wordLines({ words }: Segment): string {
  const lines = words.map(({ text, startSeconds, endSeconds }) => {
    const word = text.trim().replaceAll(/\s+/g, ' ');
    return `${Math.round(startSeconds * 1000)}\t${Math.round(endSeconds * 1000)}\t${word}\n`;
  });
  return lines.join('');
}
