import { expect } from 'chai';
import { readConfig } from '../../src/config/config.js';

describe('the environment of a worker', () => {
  it('keeps libraries offline, requests large pages and returns freed memory', () => {
    const { workerEnv } = readConfig({ PATH: '/bin', HF_HUB_OFFLINE: '0' });
    expect(workerEnv.NVIDIA_TF32_OVERRIDE).to.equal('0');
    expect(workerEnv).to.include({ PATH: '/bin', HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1' });
    expect(workerEnv.GLIBC_TUNABLES?.split(':')).to.deep.equal([
      'glibc.malloc.hugetlb=1',
      'glibc.malloc.arena_max=2',
      'glibc.malloc.mmap_threshold=262144',
      'glibc.malloc.trim_threshold=8388608',
    ]);
  });

  it('keeps existing settings of the C library', () => {
    const { workerEnv } = readConfig({ GLIBC_TUNABLES: 'glibc.malloc.arena_max=2' });
    expect(workerEnv.GLIBC_TUNABLES).to.equal('glibc.malloc.arena_max=2');
  });

  it('has no token and no proxy', () => {
    const { workerEnv } = readConfig({ PATH: '/bin', HF_TOKEN: 'hf_secret', HTTPS_PROXY: 'http://proxy' });
    expect(JSON.stringify(workerEnv)).to.not.match(/secret|proxy/);
  });
});
