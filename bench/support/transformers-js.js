// @huggingface/transformers as a peer: local files alone, on one thread that does not spin.
import { env } from '@huggingface/transformers';

env.allowRemoteModels = false;
env.useFSCache = false;

export const SESSION = { intraOpNumThreads: 1, extra: { session: { intra_op: { allow_spinning: '0' } } } };
