import type { InferenceSession } from 'onnxruntime-node';
import type { LoadOptions } from '../model.js';

type Settings = InferenceSession.SessionOptions;

/**
 * Opens a session, and where `sharedThreads` are fewer than `threads` another one, which runs while other runs need the cores: threads of two
 * busy workers wait for each other, since the one that calls a run spins until the other, which has no core, has finished its part. Throws
 * what `create` throws.
 */
export async function createSharing(
  settings: Settings,
  {
    device,
    threads,
    sharedThreads = threads,
    cores,
  }: Pick<LoadOptions, 'cores' | 'device' | 'sharedThreads' | 'threads'>,
  create: (settings: Settings) => Promise<InferenceSession>,
): Promise<InferenceSession> {
  const own = await create(settings);
  if (device !== 'cpu' || cores === undefined || sharedThreads >= threads) return own;
  const other = await create({ ...settings, intraOpNumThreads: sharedThreads }).catch(async (error) => {
    await own.release();
    throw error;
  });
  const current = () => (cores.shared ? other : own);
  return Object.create(own, {
    run: { get: () => current().run.bind(current()) },
    release: { value: () => Promise.all([own.release(), other.release()]) },
  });
}
