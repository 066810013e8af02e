import type { DownloaderConfig } from './config.js';
import type { DownloaderError } from './errors.js';
import { type HttpClient, openHttp } from './transfer/http.js';
import { type HubApi, openHub } from './transfer/hub.js';
import { type HubFileAddress, HubFileSource } from './transfer/hub-source.js';
import { type NpmSettings, readNpmSettings } from './transfer/npm-settings.js';
import { NpmFileSource } from './transfer/npm-source.js';
import type { Origin } from './transfer/origin.js';
import { DEFAULT_RETRY, FirstContact, type RetryNotice, type RetryPolicy } from './transfer/retry.js';
import type { ByteSource } from './transfer/source.js';
import { UrlFileSource } from './transfer/url-source.js';

/** Everything outside this machine. Nothing is opened before it is needed, so a run that needs nothing loads nothing. */
export interface Remote {
  readonly retry: RetryPolicy;
  hub(): Promise<HubApi>;
  hubFile(address: HubFileAddress): ByteSource;
  urlFile(url: URL): ByteSource;
  npmFile(name: string, version: string, file: string): ByteSource;
  onRetry(notice: RetryNotice): void;
  /** A source of a model did not answer, and the next one is tried. */
  onSourceFailed(model: string, source: string, error: DownloaderError): void;
  /** Ends idle connections. Idempotent. */
  close(): void;
}

/** What the remote side tells while it works. */
export type RemoteEvents = Pick<Remote, 'onRetry' | 'onSourceFailed'>;

/** Opens the remote side by the configuration. */
export function openRemote(config: DownloaderConfig, version: string, events: RemoteEvents): Remote {
  const contact = new FirstContact();
  const retry: RetryPolicy = { ...DEFAULT_RETRY, attempts: config.attempts, baseMs: config.pauseMs, contact };
  let opened: Promise<HttpClient> | undefined;
  let origin: Origin | undefined;
  let npm: Promise<NpmSettings> | undefined;
  const http = () => {
    opened ??= openHttp({
      stallMs: config.stallMs,
      connections: config.connections,
      proxyFor: config.proxyFor,
      userAgent: `heimdex-downloader/${version}`,
      contact,
    });
    return opened;
  };
  const hubOrigin = () => {
    origin ??= { endpoint: config.endpoint, token: config.token() };
    return origin;
  };
  return {
    ...events,
    retry,
    async hub() {
      return openHub({ http: await http(), origin: hubOrigin(), retry, onRetry: events.onRetry });
    },
    hubFile(address) {
      return new HubFileSource(http, hubOrigin(), address);
    },
    urlFile(url) {
      return new UrlFileSource(http, url);
    },
    npmFile(name, version, file) {
      npm ??= readNpmSettings(config.npmEnvironment, config.stallMs);
      return new NpmFileSource({ package: name, version, file }, npm, config.stallMs);
    },
    close() {
      void opened?.then(
        (client) => client.close(),
        () => {},
      );
      opened = undefined;
    },
  };
}
