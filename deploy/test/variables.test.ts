import { MODEL_VARIABLES, readModelEnvironment, resolveModels } from '@heimdex/cache';
import { expect } from 'chai';
import { output, parseYaml, read } from './support.js';

/** Variables that no program of ours reads: of the kustomize files for the names of Jobs, and of Grafana. */
const OTHERS = /^(JOB_\w+|MODELS_UPDATED|GF_\w+|HTTPS_PROXY|NO_PROXY)$/;

/** The variables in the tables of the reference, which are generated from the code. */
const documented = new Set(
  [...read('docs/reference.md').matchAll(/^\| `([A-Z][A-Z0-9_]+)` \|/gm)].map(([, name]) => name),
);

/** Returns the names set in `environment:` of services, and in blocks that services merge. */
function composeNames(path: string): readonly string[] {
  const found: string[] = [];
  const visit = (value: unknown, key: string): void => {
    if (typeof value !== 'object' || value === null) return;
    if (key.endsWith('environment')) found.push(...Object.keys(value));
    else for (const [name, own] of Object.entries(value)) visit(own, name);
  };
  visit(parseYaml<unknown>(read(path))[0], '');
  return found;
}

/** Returns the names of literals of ConfigMaps, and of `env:` of containers. */
function kustomizeNames(path: string): readonly string[] {
  const text = read(path);
  const literals = [...text.matchAll(/(?:- |\[)([A-Z][A-Z0-9_]+)=/g)];
  const env = [...text.matchAll(/\{ name: ([A-Z][A-Z0-9_]+), value:/g)];
  return [...literals, ...env].map(([, name = '']) => name);
}

const FILES: Readonly<Record<string, (path: string) => readonly string[]>> = {
  'deploy/compose.yaml': composeNames,
  'deploy/compose.cuda.yaml': composeNames,
  'deploy/compose.tls.yaml': composeNames,
  'deploy/kubernetes/base/kustomization.yaml': kustomizeNames,
  'deploy/kubernetes/base/deployment.yaml': kustomizeNames,
  'deploy/kubernetes/components/gpu/kustomization.yaml': kustomizeNames,
  'deploy/kubernetes/components/newer-models/kustomization.yaml': kustomizeNames,
  'deploy/kubernetes/components/shared-volume/use-volume.yaml': kustomizeNames,
  'deploy/kubernetes/components/tls/use-tls.yaml': kustomizeNames,
  'deploy/kubernetes/overlays/podman/kustomization.yaml': kustomizeNames,
};

describe('the variables that deploy/ sets', () => {
  for (const [path, namesIn] of Object.entries(FILES)) {
    it(`are in the reference: ${path}`, () => {
      const names = namesIn(path);
      expect(names).to.not.deep.equal([]);
      expect(names.filter((name) => !documented.has(name) && !OTHERS.test(name))).to.deep.equal([]);
    });
  }

  it('are compared with all variables of the models', () => {
    const names = Object.values(MODEL_VARIABLES).map(({ name }) => name);
    expect(names.filter((name) => !documented.has(name))).to.deep.equal([]);
  });
});

describe('the models that the pages set', () => {
  it('have their names and variants in the manifest', () => {
    const lines = output('git', [
      'grep',
      '-hoE',
      '[A-Z_]+_MODEL(_NAME)?=[A-Za-z0-9][A-Za-z0-9./_:-]+\\b',
      '--',
      '*.md',
    ]);
    const settings = lines.trim().split('\n');
    expect(settings.length).to.be.greaterThan(10);
    const others = { ASR_MODEL: 'none', VISION_MODEL_NAME: 'none', LOAD_BGE_M3: 'true', FEATURE_FACE: 'true' };
    const unknown = settings.filter((setting) => {
      const [name = '', value = ''] = setting.split('=');
      try {
        resolveModels(readModelEnvironment({ ...others, [name]: value }));
        return false;
      } catch {
        return true;
      }
    });
    expect(unknown).to.deep.equal([]);
  });
});
