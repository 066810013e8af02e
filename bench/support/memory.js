// Reads the memory of processes. Linux only.
import { readFileSync } from 'node:fs';

/** The value of a field of /proc/PID/smaps_rollup, MiB; 0 if the process is gone. */
export function memoryField(pid, field) {
  let text = '';
  try {
    text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  } catch {
    // It ended, or this is not Linux.
  }
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0) / 1024;
}

/** The processes that a process has started. */
export function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
}

/** Proportional set size of a process and all below it, MiB. */
export function memoryMib(pid) {
  return childrenOf(pid).reduce((sum, child) => sum + memoryMib(child), memoryField(pid, 'Pss'));
}
