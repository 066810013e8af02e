import { type ChildResult, runChild } from './child.js';
import { runHere, testEnvironment } from './program.js';
import { type ForwardProxy, startProxy } from './proxy.js';
import { useHub } from './use-hub.js';

/** A hub and a proxy for each test of a suite, and a download from an address of the hub. */
export function useProxy() {
  const { dir, hub, env } = useHub();
  let proxy: ForwardProxy;
  beforeEach(async () => {
    proxy = await startProxy();
  });
  afterEach(() => proxy.close());

  return {
    dir,
    hub,
    env,
    /** The proxy of the running test. */
    proxy: (): ForwardProxy => proxy,
    /** Runs in this process, except with NODE_EXTRA_CA_CERTS, which Node.js reads when it starts. */
    async run(endpoint: string, more: NodeJS.ProcessEnv): Promise<ChildResult> {
      const env = testEnvironment(dir.path, endpoint, more);
      return more.NODE_EXTRA_CA_CERTS === undefined ? runHere([], env) : runChild([], env);
    },
  };
}
