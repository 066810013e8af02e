import type { DownloaderConfig } from './config.js';
import type { DownloaderError } from './errors.js';
import type { Origin } from './transfer/answers.js';
import { type HttpClient, openHttp } from './transfer/http.js';
import { type HubApi, openHub } from './transfer/hub.js';
import { type HubFileAddress, HubFileSource } from './transfer/hub-source.js';
import { NetworkState } from './transfer/network-state.js';
import { type NpmSettings, readNpmSettings } from './transfer/npm-settings.js';
import { NpmFileSource } from './transfer/npm-source.js';
import { DEFAULT_RETRY, type RetryNotice, type RetryOptions } from './transfer/retry.js';
import type { ByteSource } from './transfer/source.js';
import { UrlFileSource } from './transfer/url-source.js';

/** Access to everything outside this machine. Opened lazily, so a run without requests loads nothing. */
export interface Remote {
  readonly retry: RetryOptions;
  /** Whether the hub is the public one. A mirror's or stand-in's network may reach nothing else. */
  readonly isPublicHub: boolean;
  hub(): Promise<HubApi>;
  hubFile(address: HubFileAddress): ByteSource;
  urlFile(url: URL): ByteSource;
  npmFile(name: string, version: string, file: string): ByteSource;
  onRetry(notice: RetryNotice): void;
  /** Called when a source of a model did not answer and the next one is tried. */
  onSourceFailed(model: string, source: string, error: DownloaderError): void;
  /** Closes idle connections. Idempotent. */
  close(): void;
}

const PUBLIC_HUB = 'huggingface.co';

/** Opens remote access by the configuration. */
export function openRemote(
  config: DownloaderConfig,
  version: string,
  events: Pick<Remote, 'onRetry' | 'onSourceFailed'>,
): Remote {
  const network = new NetworkState();
  const retry: RetryOptions = {
    ...DEFAULT_RETRY,
    maxAttempts: config.maxAttempts,
    initialDelayMs: config.initialDelayMs,
    network,
  };
  let opened: Promise<HttpClient> | undefined;
  let origin: Origin | undefined;
  let npm: Promise<NpmSettings> | undefined;
  const http = () => {
    opened ??= openHttp({
      stallMs: config.stallMs,
      connections: config.connections,
      proxyFor: config.proxyFor,
      certificateVariable: config.certificateVariable,
      userAgent: `heimdex-downloader/${version}`,
      network,
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
    isPublicHub: config.endpoint.hostname === PUBLIC_HUB,
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
