import type { Decoder, DecoderOutput, DecoderState, EncodedAudio } from './decoder.js';
import { joinStates, joinTensors, splitState } from './state-rows.js';

/** Maximum sequences per decoder run. Beyond it the cost per token no longer falls, and memory grows. */
const MAX_ROWS = 8;

/** A decoder as seen by one of several windows. */
export interface DecoderSlot extends Pick<Decoder, 'start' | 'step'> {
  /** Runs work that has several sequences, such as beam search. It joins no batch; one window at a time runs it. */
  apart<Result>(work: () => Promise<Result>): Promise<Result>;
  /**
   * Runs long work of one window, such as its encoder. One window at a time runs it, so that the event loop is served
   * in between.
   */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Ends the slot: the others no longer wait for it. Idempotent. */
  close(): void;
}

/** A run requested by a window. */
type Request =
  | {
      readonly type: 'start';
      readonly audio: EncodedAudio;
      readonly prompts: readonly (readonly number[])[];
      readonly positions: readonly number[];
    }
  | { readonly type: 'step'; readonly state: DecoderState; readonly tokens: readonly number[] };

interface Waiting {
  readonly request: Request;
  readonly resolve: (output: DecoderOutput) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Decodes several windows together, each as if it had the decoder to itself. When all of them are waiting for a run,
 * the ones that are furthest behind and compatible (same token count, same audio length) share one; the others wait
 * until these have caught up. The graph has no mask, so nothing is padded: a window's result does not depend on its
 * batch, provided that the graph's rows are independent (`batchInvariant`).
 */
export class BatchedDecoder {
  #waiting: Waiting[] = [];
  #members = 0;
  #apart: Promise<void> = Promise.resolve();
  #turn: Promise<void> = Promise.resolve();

  constructor(private readonly decoder: Pick<Decoder, 'start' | 'step'>) {}

  /** Opens a slot for one window. Open all slots before the first window begins: it waits for the open ones. */
  openSlot(): DecoderSlot {
    let here = true;
    let isApart = false;
    this.#members += 1;
    return {
      start: (audio, prompts, positions = [(prompts[0]?.length ?? 1) - 1], attentionLayers = []) =>
        isApart || attentionLayers.length > 0
          ? this.decoder.start(audio, prompts, positions, attentionLayers)
          : this.#wait({ type: 'start', audio, prompts, positions }),
      step: (state, tokens) =>
        isApart ? this.decoder.step(state, tokens) : this.#wait({ type: 'step', state, tokens }),
      apart: async (work) => {
        isApart = true;
        try {
          return await this.#workApart(work);
        } finally {
          isApart = false;
        }
      },
      inTurn: (work) => {
        const done = this.#turn.then(work);
        this.#turn = done.then(
          () => {},
          () => {},
        );
        return done;
      },
      close: () => {
        if (!here) return;
        here = false;
        this.#lose();
      },
    };
  }

  #wait(request: Request): Promise<DecoderOutput> {
    const output = new Promise<DecoderOutput>((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
    });
    this.#advance();
    return output;
  }

  #lose(): void {
    this.#members -= 1;
    this.#advance();
  }

  async #workApart<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#lose();
    const before = this.#apart;
    let done = () => {};
    this.#apart = new Promise((resolve) => {
      done = resolve;
    });
    await before;
    try {
      return await work();
    } finally {
      this.#members += 1;
      done();
    }
  }

  /** Starts a run when every open slot is waiting. Slots in a run are not waiting, so there is one run at a time. */
  #advance(): void {
    if (this.#waiting.length === 0 || this.#waiting.length < this.#members) return;
    const group = nextGroup(this.#waiting);
    this.#waiting = this.#waiting.filter((waiting) => !group.includes(waiting));
    runTogether(
      this.decoder,
      group.map(({ request }) => request),
    ).then(
      (outputs) => {
        for (const [index, output] of outputs.entries()) group[index]?.resolve(output);
      },
      (error: unknown) => {
        for (const { reject } of group) reject(error);
      },
    );
  }
}

/** The slots furthest behind that can share a run, up to the maximum. */
function nextGroup(waiting: readonly Waiting[]): readonly Waiting[] {
  const first = waiting.reduce((behind, one) => (lengthOf(one.request) < lengthOf(behind.request) ? one : behind));
  const group = [first];
  let rows = rowsOf(first.request);
  for (const one of waiting) {
    if (one === first || !areAlike(one.request, first.request) || rows + rowsOf(one.request) > MAX_ROWS) continue;
    group.push(one);
    rows += rowsOf(one.request);
  }
  // In the order of arrival: states that ran together are adjacent in memory.
  return waiting.filter((one) => group.includes(one));
}

function lengthOf(request: Request): number {
  return request.type === 'start' ? 0 : request.state.length;
}

function rowsOf(request: Request): number {
  return request.type === 'start' ? request.prompts.length : request.tokens.length;
}

function areAlike(one: Request, other: Request): boolean {
  if (one.type === 'step') {
    return (
      other.type === 'step' &&
      one.state.length === other.state.length &&
      one.state.audioPositions === other.state.audioPositions
    );
  }
  return (
    other.type === 'start' &&
    one.audio.states.dims[1] === other.audio.states.dims[1] &&
    (one.audio.logCounts === undefined) === (other.audio.logCounts === undefined) &&
    one.prompts[0]?.length === other.prompts[0]?.length &&
    one.positions.join() === other.positions.join()
  );
}

/** Runs all requests at once; returns the output of each. */
async function runTogether(
  decoder: Pick<Decoder, 'start' | 'step'>,
  requests: readonly Request[],
): Promise<readonly DecoderOutput[]> {
  const starts = requests.filter((request) => request.type === 'start');
  const steps = requests.filter((request) => request.type === 'step');
  const [first] = starts;
  const output =
    first === undefined
      ? await decoder.step(
          joinStates(steps.map(({ state }) => state)),
          steps.flatMap(({ tokens }) => tokens),
        )
      : await decoder.start(
          {
            states: joinTensors(starts.map(({ audio }) => audio.states)),
            logCounts: first.audio.logCounts && joinTensors(starts.flatMap(({ audio }) => audio.logCounts ?? [])),
          },
          starts.flatMap(({ prompts }) => prompts),
          first.positions,
        );
  const rows = requests.map(rowsOf);
  let from = 0;
  return splitState(output.state, rows).map((state, index) => {
    const first = from;
    from += rows[index] ?? 0;
    return { state, attentions: output.attentions, logits: (row, at) => output.logits(first + row, at) };
  });
}
