import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import type { ContentHash } from '@heimdex/cache';
import type { ByteRange } from './ranges.js';

/**
 * What is written beside a partial file, one JSON text a line, appended only: which bytes are on disk, and now and then
 * the hash of all bytes up to a position, by which a later run proves them anew. A line cut by a kill or a full disk is
 * passed over, and costs the bytes it told of.
 */
export interface JournalState {
  readonly done: readonly ByteRange[];
  /** Hashes of the file's first `end` bytes, by rising position. */
  readonly prefixes: readonly PrefixHash[];
}

/** The hash of the first `end` bytes. */
export interface PrefixHash {
  readonly end: number;
  readonly hex: string;
}

/** One entry: ranges that are on disk since the entry before, and how far the hash has come. */
export interface JournalEntry {
  readonly done: readonly ByteRange[];
  readonly prefix: PrefixHash | undefined;
}

/** Whose bytes a journal speaks of. A journal of other bytes is not used. */
export interface JournalSubject {
  readonly sizeBytes: number;
  readonly hash: ContentHash;
}

const FORMAT_VERSION = 1;

/** The journal's path of a partial file. */
export function journalPath(partialPath: string): string {
  return `${partialPath}.journal`;
}

/** Writes a journal anew, under its own name in one step. */
export async function writeJournal(path: string, subject: JournalSubject, state: JournalState): Promise<void> {
  const prefixes = state.prefixes.map((prefix) => entryLine({ done: [], prefix }));
  const done = state.done.length === 0 ? '' : entryLine({ done: state.done, prefix: undefined });
  const temporary = `${path}.tmp`;
  await writeFile(temporary, `${headerLine(subject)}${done}${prefixes.join('')}`, { mode: 0o644 });
  await rename(temporary, path);
}

function headerLine(subject: JournalSubject): string {
  const { sizeBytes, hash } = subject;
  return `${JSON.stringify({ version: FORMAT_VERSION, size: sizeBytes, type: hash.type, hash: hash.value })}\n`;
}

/** Adds an entry. One write, so that a kill leaves it whole or cut, never mixed. */
export async function appendEntry(path: string, entry: JournalEntry): Promise<void> {
  await appendFile(path, entryLine(entry));
}

function entryLine(entry: JournalEntry): string {
  const line = {
    done: entry.done.map(({ start, end }) => [start, end]),
    ...(entry.prefix === undefined ? {} : { prefix: [entry.prefix.end, entry.prefix.hex] }),
  };
  return `${JSON.stringify(line)}\n`;
}

/** Reads a journal; undefined when there is none or it is about other bytes. */
export async function readJournal(path: string, subject: JournalSubject): Promise<JournalState | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
  const [header, ...lines] = text.split('\n');
  if (`${header}\n` !== headerLine(subject)) return undefined;
  const done: ByteRange[] = [];
  const prefixes: PrefixHash[] = [];
  for (const line of lines) {
    const entry = parseEntry(line, subject.sizeBytes);
    if (entry === undefined) continue;
    done.push(...entry.done);
    if (entry.prefix !== undefined) prefixes.push(entry.prefix);
  }
  return { done, prefixes: prefixes.sort((a, b) => a.end - b.end) };
}

function parseEntry(line: string, sizeBytes: number): JournalEntry | undefined {
  let value: { done?: unknown; prefix?: unknown };
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !Array.isArray(value.done)) return undefined;
  const done: ByteRange[] = [];
  for (const pair of value.done) {
    const [start, end] = Array.isArray(pair) ? pair : [];
    if (!isPosition(start, sizeBytes) || !isPosition(end, sizeBytes)) return undefined;
    done.push({ start, end });
  }
  const [end, hex] = Array.isArray(value.prefix) ? value.prefix : [];
  const prefix = isPosition(end, sizeBytes) && typeof hex === 'string' ? { end, hex } : undefined;
  return { done, prefix };
}

function isPosition(value: unknown, sizeBytes: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= sizeBytes;
}
