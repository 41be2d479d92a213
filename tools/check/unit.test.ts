import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

// Goal: the systemd unit of docs/three-hosts.md stays hardened. Method: systemd's own figure for it, where systemd is installed.
const unit = fileURLToPath(new URL('../../docs/systemd/understudy-agent.service', import.meta.url));
const isHere = spawnSync('systemd-analyze', ['security', '--help']).status === 0;

test('systemd counts an exposure below 3 for the unit', { skip: !isHere }, () => {
  const ran = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', unit], { encoding: 'utf8' });
  const level = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(ran.stdout)?.[1]);
  assert.ok(level < 3, ran.stdout.slice(-2000) + ran.stderr);
});
