import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Hub, type HubOptions, startHub } from '@heimdex/hub';
import { expect } from 'chai';
import { runHere, testEnvironment } from './program.js';
import { SPEECH_REPOSITORY, speechRepository } from './repositories.js';
import { temporaryDir } from './volume.js';

/**
 * Starts a hub for each test, or one for the suite, which forgets the requests of the test before; by default with the tests' speech
 * model. Each test has its own directory. Call it inside `describe`.
 */
export function useHub({ scope = 'test', ...options }: HubOptions & { readonly scope?: 'test' | 'suite' } = {}) {
  const dir = temporaryDir();
  let started: Hub;
  const [start, stop] = scope === 'test' ? [beforeEach, afterEach] : [before, after];
  start(async () => {
    started = await startHub({ repositories: [speechRepository()], ...options });
  });
  stop(() => started.close());
  beforeEach(() => started.requests.clear());
  const hub: Omit<Hub, 'names'> = {
    get url() {
      return started.url;
    },
    get cdnUrl() {
      return started.cdnUrl;
    },
    get requests() {
      return started.requests;
    },
    get faults() {
      return started.faults;
    },
    commit: (name, revision) => started.commit(name, revision),
    publish: (repository) => started.publish(repository),
    close: () => started.close(),
  };
  const env = (more: NodeJS.ProcessEnv = {}) => testEnvironment(dir.path, hub.url, more);
  /** Runs a command that must succeed; returns its output. */
  const ok = async (argv: readonly string[] = [], more: NodeJS.ProcessEnv = {}) => {
    const result = await runHere(argv, env(more));
    expect(result.status, result.stderr).to.equal(0);
    return result.stdout;
  };
  /** Volumes with one model and nothing else, by the model's commit and the settings. */
  const templates = new Map<string, string>();
  after(async () => {
    for (const path of templates.values()) await rm(path, { recursive: true });
  });
  /** Fills the test's empty volume as a download of the model does, which is done once for the suite, and forgets the requests. */
  const filled = async (model = SPEECH_REPOSITORY, more: NodeJS.ProcessEnv = {}) => {
    const key = `${hub.commit(model).sha} ${JSON.stringify(more)}`;
    const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true };
    const template = templates.get(key);
    if (template !== undefined) return cp(template, join(dir.path, 'cache'), options);
    await ok([], more);
    hub.requests.clear();
    const path = await mkdtemp(join(tmpdir(), 'heimdex-filled-'));
    await cp(join(dir.path, 'cache'), path, options);
    templates.set(key, path);
  };
  return { dir, hub, env, ok, filled };
}
