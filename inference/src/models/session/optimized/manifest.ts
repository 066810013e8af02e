import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile, type OptimizedFile } from '@heimdex/cache';
import type { GraphFacts, OnnxValue } from '../../../onnx/index.js';
import type { OptimizedKey } from './place.js';

export const MANIFEST_NAME = 'manifest.json';
export const GRAPH_NAME = 'model.onnx';
export const WEIGHTS_NAME = 'model.data';

/** What a form's directory says of itself. */
export interface OptimizedManifest {
  readonly key: OptimizedKey;
  readonly source: string;
  /** Of the graph before the runtime optimised it, after it was rewritten. */
  readonly facts: GraphFacts;
  /** Whether it was rewritten. */
  readonly changed: boolean;
}

/** The manifest's bytes. The same form always gives the same bytes. */
export function writeManifest(manifest: OptimizedManifest): string {
  const { opTypes, inputs, outputs } = manifest.facts;
  const facts = { opTypes: [...opTypes].sort(), inputs, outputs };
  return `${JSON.stringify({ ...manifest, facts }, null, 1)}\n`;
}

/** Reads a form's manifest; undefined where there is no form. Throws, with the reason, when it is none of ours. */
export async function readManifest(dir: string): Promise<OptimizedManifest | undefined> {
  let text: string;
  try {
    text = await readFile(join(dir, MANIFEST_NAME), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const value = JSON.parse(text) as Partial<Record<keyof OptimizedManifest, unknown>> | null;
  const facts = value?.facts as Partial<Record<keyof GraphFacts, unknown>> | undefined;
  if (
    typeof value?.source !== 'string' ||
    typeof value.changed !== 'boolean' ||
    typeof value.key !== 'object' ||
    !Array.isArray(facts?.opTypes) ||
    !facts.opTypes.every((name) => typeof name === 'string') ||
    !areValues(facts.inputs) ||
    !areValues(facts.outputs)
  ) {
    throw new Error(`Expected ${MANIFEST_NAME} of an optimized model, got another one`);
  }
  return {
    key: value.key as OptimizedKey,
    source: value.source,
    facts: { opTypes: new Set(facts.opTypes), inputs: facts.inputs, outputs: facts.outputs },
    changed: value.changed,
  };
}

/** Throws, with the reason, when a form's files are not what is recorded of them: sizes, and with `full` every byte. */
export async function checkFiles(dir: string, files: readonly OptimizedFile[], level: 'quick' | 'full'): Promise<void> {
  for (const { name, sizeBytes, sha256 } of files) {
    const path = join(dir, name);
    const { size } = await stat(path);
    if (size !== sizeBytes) throw new Error(`${name} has ${size} bytes, expected ${sizeBytes}`);
    if (level === 'quick') continue;
    const actual = await hashFile('sha256', path);
    if (actual !== sha256) throw new Error(`the sha256 of ${name} is ${actual}, expected ${sha256}`);
  }
}

function areValues(value: unknown): value is readonly OnnxValue[] {
  return Array.isArray(value) && value.every((one: OnnxValue | null) => typeof one?.name === 'string');
}
