import type { InferenceSession } from 'onnxruntime-node';
import type { GraphFacts } from '../../../onnx/index.js';

/** How to build a session from a graph's file when there is no optimized model of it. */
export interface Recipe {
  /**
   * Name and version of the transform, part of the optimized model's key. Increase the version when the output changes.
   * Undefined: never saved.
   */
  readonly graphTransform: string | undefined;
  /** Whether the session keeps the memory of its runs for later runs. Default true. */
  readonly arena?: boolean;
  /** Reads and transforms the graph. */
  read(): ReadGraph;
}

export interface ReadGraph {
  /** Facts of the transformed graph. */
  facts(): GraphFacts;
  readonly changed: boolean;
  /** Whether the runtime packs weights as it opens the graph. Default true. If not, an optimized model would be a copy of the file. */
  readonly packs?: boolean;
  create(settings: InferenceSession.SessionOptions): Promise<InferenceSession>;
}

/** A graph's session and its facts. */
export interface OpenedGraph {
  readonly session: InferenceSession;
  facts(): GraphFacts;
  readonly changed: boolean;
}

/** Merges settings into the session's key-value list. */
export function withSessionEntries(
  settings: InferenceSession.SessionOptions,
  entries: Readonly<Record<string, string>>,
): InferenceSession.SessionOptions {
  const session = settings.extra?.session as object | undefined;
  return { ...settings, extra: { ...settings.extra, session: { ...session, ...entries } } };
}
