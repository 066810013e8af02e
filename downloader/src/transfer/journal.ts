import { appendFile, rename, writeFile } from 'node:fs/promises';
import { type ContentHash, readText } from '@heimdex/cache';
import type { ByteRange } from './ranges.js';

/**
 * An append-only journal next to a partial file, one JSON text per line: which bytes are on disk and, at intervals, the hash of
 * all bytes up to a position, with which a later run verifies them. A line truncated by a kill or a full disk is skipped; its
 * bytes are fetched again.
 */
export interface JournalState {
  readonly done: readonly ByteRange[];
  /** Hashes of the file's first `end` bytes, by ascending position. */
  readonly prefixes: readonly PrefixHash[];
}

/** The hash of the first `end` bytes. */
export interface PrefixHash {
  readonly end: number;
  readonly hex: string;
}

/** One entry: ranges on disk since the previous entry, and the progress of the hash. */
export interface JournalEntry {
  readonly done: readonly ByteRange[];
  readonly prefix: PrefixHash | undefined;
}

/** The file that a journal belongs to. A journal of other bytes is ignored. */
export interface JournalSubject {
  readonly sizeBytes: number;
  readonly hash: ContentHash;
}

const FORMAT_VERSION = 1;

/** Returns the journal's path of a partial file. */
export function journalPath(partialPath: string): string {
  return `${partialPath}.journal`;
}

/** Rewrites a journal atomically. */
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

/** Appends an entry in one write, so that a kill leaves it complete or truncated, never interleaved. */
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

/** Reads a journal; undefined if there is none or it belongs to other bytes. */
export async function readJournal(path: string, subject: JournalSubject): Promise<JournalState | undefined> {
  let text: string;
  try {
    text = await readText(path);
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
