import { availableParallelism, totalmem } from 'node:os';
import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { connectionsWithin, readMachine } from '../../src/capacity/machine.js';

const read = (files: Readonly<Record<string, string>>) => readMachine((path) => files[path]);

describe('readMachine', () => {
  it('returns the whole machine without a cgroup limit', () => {
    const all = { cores: availableParallelism(), memoryBytes: totalmem() };
    expect(read({})).to.deep.equal(all);
    expect(
      read({ '/sys/fs/cgroup/cpu.max': 'max 100000\n', '/sys/fs/cgroup/memory.max': 'max\n' }),
      'no limit',
    ).to.deep.equal(all);
    expect(
      read({ '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' }),
    ).to.deep.equal(all);
  });

  it('returns the limit of open files, within which connections are limited', () => {
    const limited = (openFiles: string) =>
      read({ '/proc/self/limits': `Max processes 9 9\nMax open files            ${openFiles}  x\n` });
    expect(limited('1024')).to.include({ openFiles: 1024 });
    expect(limited('unlimited')).not.to.have.property('openFiles');
    expect([read({}), limited('1024'), limited('100')].map((one) => connectionsWithin(one, 4096))).to.eql([
      4096, 768, 16,
    ]);
  });

  it('returns the container’s limits for both cgroup versions', () => {
    expect(
      read({
        '/proc/self/cgroup': '0::/\n',
        '/sys/fs/cgroup/cpu.max': '100000 100000\n',
        '/sys/fs/cgroup/memory.max': `${512 * MIB}\n`,
      }),
    ).to.deep.equal({ cores: 1, memoryBytes: 512 * MIB });
    expect(
      read({
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '50000\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
        '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${256 * MIB}\n`,
      }),
    ).to.deep.equal({ cores: 1, memoryBytes: 256 * MIB });
  });

  it('returns the minimum of the limits of a unit and its ancestors', () => {
    const files = {
      '/proc/self/cgroup': '0::/system.slice/heimdex.service\n',
      '/sys/fs/cgroup/system.slice/cpu.max': '100000 100000\n',
      '/sys/fs/cgroup/system.slice/memory.max': `${512 * MIB}\n`,
      '/sys/fs/cgroup/system.slice/heimdex.service/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/system.slice/heimdex.service/memory.max': `${300 * MIB}\n`,
    };
    expect(read(files)).to.deep.equal({ cores: 1, memoryBytes: 300 * MIB });
  });

  it('returns them of version 1 too, whose controllers have groups of their own', () => {
    const files = {
      '/proc/self/cgroup':
        '9:name=systemd:/user\n4:memory:/system.slice/heimdex.service\n3:cpu,cpuacct:/system.slice\n0::/\n',
      '/sys/fs/cgroup/cpu/system.slice/cpu.cfs_quota_us': '100000\n',
      '/sys/fs/cgroup/cpu/system.slice/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/system.slice/heimdex.service/memory.limit_in_bytes': `${300 * MIB}\n`,
    };
    expect(read(files)).to.deep.equal({ cores: 1, memoryBytes: 300 * MIB });
  });

  it('ignores a cgroup path that does not exist', () => {
    expect(read({ '/proc/self/cgroup': '0::/../../other\n' }).memoryBytes).to.equal(totalmem());
  });

  it('reads this machine', () => {
    const { cores, memoryBytes } = readMachine();
    expect(cores).to.be.within(1, availableParallelism());
    expect(memoryBytes).to.be.within(1, totalmem());
  });
});
