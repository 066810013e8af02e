import { type Hub, type HubOptions, type HubRepository, startHub } from '../../src/index.js';

/** Bytes of a made-up graph, each its position. */
export const GRAPH = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));

export const TINY: HubRepository = {
  name: 'me/tiny',
  files: [
    { path: 'config.json', bytes: '{"tiny":true}' },
    { path: 'onnx/model.onnx', bytes: GRAPH },
  ],
};

/** Starts hubs that are closed after the test. Returns the starter. */
export function useHub(): (options?: HubOptions) => Promise<Hub> {
  const hubs: Hub[] = [];
  afterEach(async () => {
    await Promise.all(hubs.splice(0).map((hub) => hub.close()));
  });
  return async (options = { repositories: [TINY] }) => {
    const hub = await startHub(options);
    hubs.push(hub);
    return hub;
  };
}
