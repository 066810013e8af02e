// Reads the memory and the processor time of processes. Linux only.
import { readFileSync } from 'node:fs';

/** The value of a field of /proc/PID/smaps_rollup, MiB; 0 if the process is gone. */
export function memoryField(pid, field) {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(textOf(pid, 'smaps_rollup'))?.[1] ?? 0) / 1024;
}

/** The processes that a process has started. */
export function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
}

/** Proportional set size of a process and all below it, MiB. */
export function memoryMib(pid) {
  return childrenOf(pid).reduce((sum, child) => sum + memoryMib(child), memoryField(pid, 'Pss'));
}

/** CPU seconds of a process so far; 0 if it is gone. */
export function cpuSeconds(pid) {
  const fields = textOf(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

/** A file of /proc/PID; empty if the process has ended, or this is not Linux. */
function textOf(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
