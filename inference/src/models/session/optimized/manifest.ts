import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile, type OptimizedFile, readText } from '@heimdex/cache';
import { codeOf } from '@heimdex/common';
import type { GraphFacts, OnnxValue } from '../../../onnx/index.js';
import type { OptimizedKey } from './key.js';

export const MANIFEST_NAME = 'manifest.json';
export const GRAPH_NAME = 'model.onnx';
export const WEIGHTS_NAME = 'model.data';

/** The manifest in an optimized model's directory. */
export interface OptimizedManifest {
  readonly key: OptimizedKey;
  readonly source: string;
  /** Facts of the transformed graph before the runtime optimized it. */
  readonly facts: GraphFacts;
  /** Whether it was transformed. */
  readonly changed: boolean;
}

/** Serializes the manifest. The same input always returns the same bytes. */
export function writeManifest(manifest: OptimizedManifest): string {
  const { opTypes, inputs, outputs } = manifest.facts;
  const facts = { opTypes: [...opTypes].sort(), inputs, outputs };
  return `${JSON.stringify({ ...manifest, facts }, null, 1)}\n`;
}

/** Reads the manifest; undefined if there is no optimized model. Throws, with the reason, when it is invalid. */
export async function readManifest(dir: string): Promise<OptimizedManifest | undefined> {
  let text: string;
  try {
    text = await readText(join(dir, MANIFEST_NAME));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
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

/** Throws, with the reason, when the files differ from their record: by size, or with `full` by content. */
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
