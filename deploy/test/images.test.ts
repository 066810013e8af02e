import { posix } from 'node:path';
import { expect } from 'chai';
import { parseYaml, read } from './support.js';

const readJson = (path: string): unknown => JSON.parse(read(path));

interface Probe {
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

interface RootPackage {
  readonly workspaces: readonly string[];
  readonly version: string;
}

const rootPackage = readJson('package.json') as RootPackage;

/** Returns the directories of a workspace and of its workspace dependencies. */
function ownDependencies(name: string): readonly string[] {
  const packages = rootPackage.workspaces.map((dir) => {
    const own = readJson(`${dir}/package.json`) as { readonly name: string; readonly dependencies?: object };
    return { dir, name: own.name, needs: Object.keys(own.dependencies ?? {}) };
  });
  const found = new Set<string>();
  const add = (name: string): void => {
    const own = packages.find((workspace) => workspace.name === name);
    if (own === undefined || found.has(own.dir)) return;
    found.add(own.dir);
    for (const need of own.needs) add(need);
  };
  add(name);
  return [...found];
}

/** Returns the directories of a TypeScript project and of those that it refers to. */
function projectsOf(dir: string, found = new Set<string>()): readonly string[] {
  if (found.has(dir)) return [];
  found.add(dir);
  const { references = [] } = readJson(`${dir}/tsconfig.json`) as { readonly references?: readonly { path: string }[] };
  for (const { path } of references) projectsOf(posix.join(dir, path), found);
  return [...found];
}

/** Returns the instructions of a Dockerfile, with continued lines joined and comments removed. */
function instructions(path: string): readonly string[] {
  const joined = read(path)
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '');
  return joined.split('\n').filter((line) => line.trim() !== '');
}

for (const name of ['downloader', 'inference'] as const) {
  const path = `deploy/${name}.Dockerfile`;
  const lines = instructions(path);
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));

  describe(path, () => {
    it('copies the package.json of every workspace for npm ci', () => {
      const copied = lines.filter((line) => line.startsWith('COPY ')).join('\n');
      const missing = rootPackage.workspaces.filter(
        (workspace) => !copied.includes(`${workspace}/package.json`) && !workspace.startsWith('demo/stubs/'),
      );
      expect(missing).to.deep.equal([]);
    });

    it('uses one base image with a pinned Node.js patch version', () => {
      expect(lines[0]).to.match(/^ARG NODE_IMAGE=docker\.io\/library\/node:24\.\d+\.\d+-bookworm-slim$/);
      const bases = lines.filter((line) => line.startsWith('FROM ')).map((line) => line.split(' ')[1]);
      expect(new Set(bases)).to.deep.equal(new Set([`\${NODE_IMAGE}`, 'manifests']));
    });

    it('runs as a numbered user without a shell', () => {
      expect(last).to.include('USER 1000:1000');
      expect(last.filter((line) => /^(ENTRYPOINT|CMD|HEALTHCHECK .*CMD) /.test(line))).to.satisfy(
        (found: readonly string[]) => found.length > 0 && found.every((line) => line.trim().endsWith(']')),
      );
    });

    it('has a label with the project version', () => {
      expect(last).to.include(`ARG VERSION=${rootPackage.version}`);
      expect(last.join('\n')).to.include('org.opencontainers.image.revision=');
    });

    it('contains the build output of every workspace that it needs', () => {
      const needed = ownDependencies(`@heimdex/${name}`);
      const missing = needed.filter((workspace) => !last.some((line) => line.includes(`/app/${workspace}/dist`)));
      expect(missing).to.deep.equal([]);
    });

    it('copies every project that its build refers to', () => {
      const build = lines.slice(lines.findIndex((line) => line.endsWith(' AS build')));
      const copied = build
        .slice(
          0,
          build.findIndex((line) => line.startsWith('RUN npx tsc')),
        )
        .filter((line) => line.startsWith('COPY '))
        .flatMap((line) => line.split(' ').slice(1, -1));
      const missing = projectsOf(name).filter(
        (project) => !copied.some((path) => project === path || project.startsWith(`${path}/`)),
      );
      expect(missing).to.deep.equal([]);
    });

    it('copies only files that .dockerignore allows', () => {
      const opened = read('.dockerignore')
        .split('\n')
        .filter((line) => line.startsWith('!'))
        .map((line) => line.slice(1));
      const sources = lines
        .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
        .flatMap((line) => line.split(/\s+/).slice(1, -1));
      const refused = sources.filter(
        (source) => !opened.some((entry) => source === entry || source.startsWith(`${entry}/`)),
      );
      expect(refused).to.deep.equal([]);
    });
  });
}

for (const path of ['deploy/inference.Dockerfile', 'deploy/inference.cuda.Dockerfile']) {
  it(`${path} gives the models as long to load as Kubernetes does: of an unhealthy server compose starts no gateway`, () => {
    const [deployment] = parseYaml<{ spec: { template: { spec: { containers: [{ startupProbe: Probe }] } } } }>(
      read('deploy/kubernetes/base/deployment.yaml'),
    );
    const { periodSeconds = 0, failureThreshold = 0 } = deployment?.spec.template.spec.containers[0].startupProbe ?? {};
    const [, seconds] = /--start-period=(\d+)s/.exec(read(path)) ?? [];
    expect(Number(seconds)).to.equal(periodSeconds * failureThreshold);
  });
}

describe('deploy/inference.cuda.Dockerfile', () => {
  const lastStage = (path: string) => {
    const lines = instructions(path);
    return lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
  };
  const own = lastStage('deploy/inference.cuda.Dockerfile');
  const plain = lastStage('deploy/inference.Dockerfile');
  const environment = (stage: readonly string[]) =>
    stage
      .find((line) => line.startsWith('ENV '))
      ?.split(' ')
      .slice(1) ?? [];

  it('has the environment of the CPU image, and CUDA', () => {
    expect(environment(own).filter((pair) => pair !== '' && pair !== 'DEVICE=cuda')).to.deep.equal(
      environment(plain).filter((pair) => pair !== ''),
    );
  });

  it('has the entry point of the CPU image', () => {
    for (const word of ['USER', 'EXPOSE', 'STOPSIGNAL', 'ENTRYPOINT']) {
      const line = plain.find((text) => text.startsWith(`${word} `));
      expect(own).to.include(line);
    }
  });
});
