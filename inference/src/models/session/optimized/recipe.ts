import type { InferenceSession } from 'onnxruntime-node';
import type { GraphFacts } from '../../../onnx/index.js';

/** How a graph gets from its file into a session, when there is no optimized model of it. */
export interface Recipe {
  /** Name and version of the change, part of an optimized model's key: it goes up when the change gives another graph. Undefined: never prepared. */
  readonly graphTransform: string | undefined;
  /** Whether the session keeps the memory of its runs for the next ones. Default true. */
  readonly arena?: boolean;
  /** Reads and changes the graph. */
  read(): ReadGraph;
}

export interface ReadGraph {
  /** Of the graph as it was changed. */
  facts(): GraphFacts;
  readonly changed: boolean;
  create(settings: InferenceSession.SessionOptions): Promise<InferenceSession>;
}

/** A graph's session and what is known of the graph. */
export interface OpenedGraph {
  readonly session: InferenceSession;
  facts(): GraphFacts;
  readonly changed: boolean;
}

/** Settings merged into those of the session's own key-value list. */
export function withSessionEntries(
  settings: InferenceSession.SessionOptions,
  entries: Readonly<Record<string, string>>,
): InferenceSession.SessionOptions {
  const session = settings.extra?.session as object | undefined;
  return { ...settings, extra: { ...settings.extra, session: { ...session, ...entries } } };
}
