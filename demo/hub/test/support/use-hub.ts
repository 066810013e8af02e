import { type Hub, type HubOptions, type HubRepository, startHub } from '../../src/index.js';

/** Content of a fake graph; each byte is its position. */
export const GRAPH = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));

export const TINY: HubRepository = {
  name: 'me/tiny',
  files: [
    { path: 'config.json', bytes: '{"tiny":true}' },
    { path: 'onnx/model.onnx', bytes: GRAPH },
  ],
};

/** Returns a function that starts hubs, which are closed after the test. */
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
