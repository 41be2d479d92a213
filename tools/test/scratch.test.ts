import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitsInMemory, type Memory } from './scratch.ts';

const roomy: Memory = {
  mounts: 'proc /proc proc rw 0 0\ntmpfs /dev/shm tmpfs rw,nosuid,nodev,size=24684084k 0 0\n',
  meminfo: 'MemTotal:       24684084 kB\nMemAvailable:   23000000 kB\n',
  limit: 'max\n',
  freeBytes: 24e9,
};

test('tests run in memory where there is plenty of it, and nowhere else', () => {
  const cases: readonly [string, Partial<Memory>, 'yes' | 'no'][] = [
    ['as it is', {}, 'yes'],
    ['no control group', { limit: null }, 'yes'],
    ['the small one of a container', { freeBytes: 64 * 2 ** 20 }, 'no'],
    ['memory in use', { meminfo: 'MemAvailable:   4000000 kB\n' }, 'no'],
    ['a limit', { limit: '4294967296\n' }, 'no'],
    ['no programs allowed', { mounts: 'tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec 0 0\n' }, 'no'],
    ['a disk', { mounts: '/dev/sda /dev/shm ext4 rw 0 0\n' }, 'no'],
    ['no such place', { mounts: '' }, 'no'],
    ['nothing known', { meminfo: '' }, 'no'],
  ];
  for (const [what, change, expected] of cases) assert.equal(fitsInMemory({ ...roomy, ...change }), expected, what);
});
