import type { ModelEnvironment } from '@heimdex/cache';

type Offline = Pick<ModelEnvironment, 'offlineVariables'>;

/** Returns whether requests are forbidden. */
export function isOffline({ offlineVariables }: Offline): boolean {
  return offlineVariables.length > 0;
}

/** Names the variables that forbid requests: `HF_HUB_OFFLINE is set`. */
export function offlineReason({ offlineVariables }: Offline): string {
  return `${offlineVariables.join(' and ')} ${offlineVariables.length > 1 ? 'are' : 'is'} set`;
}

/** Returns the command line that runs a command of this program with requests. */
export function onlineCommand({ offlineVariables }: Offline, command: string): string {
  return [...offlineVariables.map((name) => `${name}=0`), 'heimdex-downloader', command].join(' ');
}
