/** POST /v1/audio/transcriptions and /v1/audio/translations. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { InferenceService, Timestamps, type TranscribeOptionsSchema, TranscribeTask } from '@heimdex/gen';
import { MAX_PROMPT_CHARACTERS } from '../../services/speech-options.js';
import { languageCode } from './languages.js';
import { modelNamed } from './models.js';
import { readForm } from './multipart.js';
import type { Answer, OpenAiContext, OpenAiRequest, Operation } from './operation.js';
import {
  choice,
  choices,
  flag,
  invalidParameter,
  number,
  type Parameter,
  type Parameters,
  PLAIN,
  parseParameters,
  required,
  text,
  type Values,
} from './parameters.js';
import {
  formatTranscript,
  GRANULARITIES,
  RESPONSE_FORMATS,
  TRANSCRIPT_ANSWERS,
  warningsOf,
} from './transcript-formats.js';

const { transcribe, transcribeStream } = InferenceService.method;
const FILE = 'file';

const file: Parameter<Uint8Array | undefined> = {
  ...PLAIN,
  schema: {
    type: 'string',
    format: 'binary',
    description:
      'The audio file: WAV, AIFF, AU, CAF, FLAC, MP3, AAC, Ogg, MP4, M4A, QuickTime, WebM, Matroska or MPEG-TS, with the rest of the form at most MAX_MESSAGE_MIB of the server (64 by default).',
  },
  parse: (value) => value as Uint8Array | undefined,
};

const language: Parameter<string | undefined> = {
  ...PLAIN,
  schema: {
    type: 'string',
    description: 'The language spoken, as a code ("en") or a name ("english"). Default: detected.',
  },
  parse(value, name) {
    if (value === undefined || value === '') return undefined;
    const code = typeof value === 'string' ? languageCode(value) : undefined;
    if (code === undefined) throw invalidParameter(name, 'expected a code such as "en", or a name such as "english".');
    return code;
  },
};

const COMMON = {
  file: required(file),
  model: required(text('whisper-1, or the id of the speech model.')),
  prompt: text('Text before the audio: names, spelling, style.', { maxCharacters: MAX_PROMPT_CHARACTERS }),
  response_format: choice('How the transcript is written.', RESPONSE_FORMATS, 'json'),
  temperature: number('0: 0 first, then higher ones up to 1 where the text looks wrong. Default 0.', {
    min: 0,
    max: 1,
  }),
};

const TRANSCRIPTION = {
  ...COMMON,
  language,
  timestamp_granularities: choices(
    'What verbose_json gives the times of; with word, srt and vtt break cues by the times of words. Default: segment.',
    GRANULARITIES,
  ),
  stream: flag('Server-sent events: transcript.text.delta for each segment, transcript.text.done at the end.'),
};

const OPERATION = {
  method: 'POST',
  rpc: transcribe,
  body: 'multipart/form-data',
} as const;

export const createTranscription: Operation = {
  ...OPERATION,
  id: 'createTranscription',
  path: '/v1/audio/transcriptions',
  summary: 'Speech to text, in the language that is spoken.',
  parameters: TRANSCRIPTION,
  answers: {
    ...TRANSCRIPT_ANSWERS,
    'text/event-stream': { type: 'string', description: 'With stream: events of JSON, in `data`.' },
  },
  async run(request, context) {
    const values = await readValues(TRANSCRIPTION, request);
    const { stream, response_format: format, timestamp_granularities: granularities } = values;
    if (stream && format !== 'json' && format !== 'text') {
      throw invalidParameter('response_format', `expected json or text with stream, got ${format}.`);
    }
    if (granularities.length > 0 && (format === 'json' || format === 'text')) {
      throw invalidParameter(
        'timestamp_granularities',
        `needs response_format verbose_json, srt or vtt, got ${format}.`,
      );
    }
    const options = {
      ...commonOptions(values),
      ...(values.language !== undefined && { language: values.language }),
      ...(granularities.includes('word') && { timestamps: Timestamps.WORD }),
    };
    modelNamed(context.models, values.model, ['speech']);
    if (stream) return { events: events(values.file, options, request, context) };
    const transcript = await context.rpcs.unary(
      transcribe,
      { audio: { content: values.file }, options },
      request.call.open.call,
    );
    return formatTranscript(format, transcript, { task: 'transcribe', granularities });
  },
};

export const createTranslation: Operation = {
  ...OPERATION,
  id: 'createTranslation',
  path: '/v1/audio/translations',
  summary: 'Speech in any language to English text. Multilingual Whisper only.',
  parameters: COMMON,
  answers: TRANSCRIPT_ANSWERS,
  async run(request, context): Promise<Answer> {
    const values = await readValues(COMMON, request);
    modelNamed(context.models, values.model, ['speech']);
    const options = { ...commonOptions(values), task: TranscribeTask.TRANSLATE };
    const message = { audio: { content: values.file }, options };
    const transcript = await context.rpcs.unary(transcribe, message, request.call.open.call);
    return formatTranscript(values.response_format, transcript, { task: 'translate', granularities: [] });
  },
};

type SpeechOptions = MessageInitShape<typeof TranscribeOptionsSchema>;

/** OpenAI's temperature 0 means what the contract's default means: 0, and higher ones where needed. */
function commonOptions({ prompt, temperature = 0 }: Values<typeof COMMON>) {
  return {
    ...(prompt !== undefined && { initialPrompt: prompt }),
    ...(temperature > 0 && { temperatures: [temperature] }),
  } satisfies SpeechOptions;
}

/** The form, checked by the table. What the file holds stays counted until the call ends. */
async function readValues<Table extends Parameters>(table: Table, request: OpenAiRequest): Promise<Values<Table>> {
  const { fields, file: content } = await readForm(request, FILE);
  request.call.body.keep(content?.byteLength ?? 0);
  const values = [...fields].map(([name, given]): [string, unknown] => {
    const parameter = Object.hasOwn(table, name) ? table[name] : undefined;
    if (parameter === undefined) return [name, given[0]];
    const meant = given.map((one) => parameter.fromText(one));
    if (!parameter.many && meant.length > 1) throw invalidParameter(name, `expected one value, got ${meant.length}.`);
    return [name, parameter.many ? meant : meant[0]];
  });
  return parseParameters(table, { ...Object.fromEntries(values), ...(content !== undefined && { [FILE]: content }) });
}

/** Each segment as it is final; the whole text at the end. */
async function* events(
  content: Uint8Array,
  options: SpeechOptions,
  { call }: OpenAiRequest,
  { rpcs }: OpenAiContext,
): AsyncGenerator<unknown, void, void> {
  let whole = '';
  let tokens = 0;
  let warned = {};
  const messages = [
    { message: { case: 'start', value: { options } } },
    { message: { case: 'audio', value: content } },
  ] as const;
  for await (const { message } of rpcs.stream(transcribeStream, messages, call.open.call)) {
    if (message.case === 'summary') warned = warningsOf(message.value);
    if (message.case !== 'segment') continue;
    const delta = whole === '' ? message.value.text.trimStart() : message.value.text;
    whole += delta;
    tokens += message.value.tokens.length;
    if (delta !== '') yield { type: 'transcript.text.delta', delta };
  }
  // This event has no usage of the type `duration`, and clients such as async-openai cannot read it without any.
  const usage = { type: 'tokens', input_tokens: 0, output_tokens: tokens, total_tokens: tokens };
  yield { type: 'transcript.text.done', text: whole.trimEnd(), usage, ...warned };
}
