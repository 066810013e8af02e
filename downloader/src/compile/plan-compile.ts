import type { Precision } from '@heimdex/cache';
import { formatBytes, formatFirst, formatTimeLeft, sumSizes } from '@heimdex/common';
import type { CheckpointState, PlannedModel } from '../plan.js';
import type { CheckpointReason } from '../remote-files.js';
import { type CompileEstimate, estimateCompile, isHalfPrecision } from './estimate.js';

/** The compile step of a plan. */
export interface PlannedCompile extends CompileEstimate {
  readonly precision: Precision;
  /** Paths in the repository, or below the cache's root. */
  readonly from: readonly string[];
  readonly why: CheckpointReason;
  readonly bytes: number;
}

/** Plans the compile of a model whose checkpoint is on the volume. */
export function compileOfFound({
  configured,
  inspection,
  config,
}: Pick<CheckpointState, 'configured' | 'inspection' | 'config'>): PlannedCompile | undefined {
  const { compile } = configured;
  const { checkpoint } = inspection;
  if (compile === undefined || checkpoint === undefined) return undefined;
  const from = checkpoint.files.map(({ path }) => path);
  const isHalf = isHalfPrecision(from, config);
  return planned(compile.precision, from, 'on the volume', sumSizes(checkpoint.files), isHalf);
}

/** Plans the compile of a model with files to fetch. */
export function compileOfFetched({ remoteFiles, files }: PlannedModel): PlannedCompile | undefined {
  const { compile } = remoteFiles.state.configured;
  const { checkpoint } = remoteFiles;
  if (compile === undefined || checkpoint === undefined) return undefined;
  const sources = files.filter(({ offered }) => checkpoint.paths.includes(offered.file.path));
  const bytes = sumSizes(sources.map(({ blob }) => blob));
  return planned(compile.precision, checkpoint.paths, checkpoint.why, bytes, checkpoint.isHalf);
}

function planned(
  precision: Precision,
  from: readonly string[],
  why: CheckpointReason,
  bytes: number,
  isHalf: boolean,
): PlannedCompile {
  return { precision, from, why, bytes, ...estimateCompile(bytes, precision, isHalf) };
}

const REASONS = {
  'on the volume': 'which is on the volume',
  'the smallest': 'the smallest checkpoint of these weights whose hash is known',
  'the only one': 'the only checkpoint of these weights whose hash is known',
} as const satisfies Record<CheckpointReason, string>;

/** Formats the compile step for `plan`. */
export function compileLine(compile: PlannedCompile): string {
  const { why, bytes, seconds, diskBytes, precision } = compile;
  return `  compile  ${formatFirst(compile.from)}  ${formatBytes(bytes)}, ${REASONS[why]}; to ${precision} in about ${formatTimeLeft(seconds * 1000)}, up to ${formatBytes(diskBytes)} more on the volume`;
}

/** Formats the log message at the start of a compile. */
export function compileStart(id: string, compile: PlannedCompile): string {
  const { bytes, seconds, precision } = compile;
  return `Compiling ${id} from ${formatFirst(compile.from)}, ${formatBytes(bytes)}, to ${precision}: about ${formatTimeLeft(seconds * 1000)}`;
}
