/** A transcript as each response_format writes it. */
import { formatSubtitles } from '@heimdex/common/subtitles';
import type { Segment, TranscribeResponse } from '@heimdex/gen';
import { roundFloat, roundTime } from '../../services/rounding.js';
import { jsonAnswer, type TextAnswer } from '../calls/send-text.js';
import { languageName } from './languages.js';
import { type JsonSchema, objectOf } from './parameters.js';

export const RESPONSE_FORMATS = ['json', 'text', 'srt', 'vtt', 'verbose_json'] as const;
export type ResponseFormat = (typeof RESPONSE_FORMATS)[number];
export const GRANULARITIES = ['word', 'segment'] as const;
export type Granularity = (typeof GRANULARITIES)[number];

export interface TranscriptOptions {
  readonly task: 'transcribe' | 'translate';
  readonly granularities: readonly Granularity[];
}

/** Whisper counts in frames of 10 ms. */
const FRAMES_PER_SECOND = 100;

const NUMBER = { type: 'number' };
const SEGMENT = objectOf({
  id: { type: 'integer' },
  seek: { type: 'integer', description: 'Its start in frames of 10 ms.' },
  start: NUMBER,
  end: NUMBER,
  text: { type: 'string' },
  tokens: { type: 'array', items: { type: 'integer' } },
  temperature: NUMBER,
  avg_logprob: NUMBER,
  compression_ratio: NUMBER,
  no_speech_prob: NUMBER,
});

export const TRANSCRIPT_ANSWERS: Readonly<Record<string, JsonSchema>> = {
  'application/json': {
    description: 'json has `text`, `usage` and `warnings`; verbose_json the rest as well.',
    type: 'object',
    required: ['text'],
    properties: {
      text: { type: 'string' },
      usage: objectOf({ type: { const: 'duration' }, seconds: { type: 'integer' } }),
      task: { enum: ['transcribe', 'translate'] },
      language: { type: 'string', description: 'Its name in English, lower case: "english".' },
      duration: { type: 'number', description: 'Seconds of audio.' },
      segments: { type: 'array', items: SEGMENT },
      warnings: {
        type: 'array',
        items: { type: 'string' },
        description: 'Problems of audio that could still be decoded, such as a damaged end. Absent if there are none.',
      },
      words: { type: 'array', items: objectOf({ word: { type: 'string' }, start: NUMBER, end: NUMBER }) },
    },
  },
  'text/plain': { type: 'string', description: 'text, srt and vtt.' },
};

export function formatTranscript(
  format: ResponseFormat,
  transcript: TranscribeResponse,
  options: TranscriptOptions,
): TextAnswer {
  switch (format) {
    case 'json':
      return jsonAnswer({ text: transcript.text, usage: usageOf(transcript), ...warningsOf(transcript) });
    case 'text':
      return plainText(`${transcript.text}\n`);
    case 'srt':
    case 'vtt':
      return plainText(formatSubtitles(format, transcript.segments));
    case 'verbose_json':
      return jsonAnswer(verbose(transcript, options));
  }
}

/** What OpenAI calls subtitles, too: clients take anything else for JSON. */
function plainText(text: string): TextAnswer {
  return { contentType: 'text/plain; charset=utf-8', text };
}

function usageOf({ durationSeconds }: Pick<TranscribeResponse, 'durationSeconds'>) {
  return { type: 'duration', seconds: Math.ceil(durationSeconds) };
}

/** OpenAI has none: an answer without warnings has no such property. */
export function warningsOf({ warnings }: Pick<TranscribeResponse, 'warnings'>) {
  return warnings.length > 0 ? { warnings } : {};
}

function verbose(transcript: TranscribeResponse, { task, granularities }: TranscriptOptions) {
  const hasWords = granularities.includes('word');
  const hasSegments = !hasWords || granularities.includes('segment');
  const words = transcript.segments.flatMap((segment) => segment.words);
  return {
    task,
    language: task === 'translate' ? 'english' : languageName(transcript.language),
    duration: roundTime(transcript.durationSeconds),
    text: transcript.text,
    ...(hasWords && {
      words: words.map(({ text, startSeconds, endSeconds }) => {
        return { word: text.trim(), start: roundTime(startSeconds), end: roundTime(endSeconds) };
      }),
    }),
    ...(hasSegments && { segments: transcript.segments.map(verboseSegment) }),
    usage: usageOf(transcript),
    ...warningsOf(transcript),
  };
}

function verboseSegment(segment: Segment) {
  return {
    id: segment.id,
    seek: Math.round(segment.startSeconds * FRAMES_PER_SECOND),
    start: roundTime(segment.startSeconds),
    end: roundTime(segment.endSeconds),
    text: segment.text,
    tokens: segment.tokens,
    temperature: roundFloat(segment.temperature),
    avg_logprob: roundFloat(segment.avgLogProb),
    compression_ratio: roundFloat(segment.compressionRatio),
    no_speech_prob: roundFloat(segment.noSpeechProb),
  };
}
