import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

// Goal: the systemd units of docs/install.md stay hardened. Method: systemd's own figure for each, where systemd is installed.
const folder = fileURLToPath(new URL('../../docs/systemd/', import.meta.url));
const isHere = spawnSync('systemd-analyze', ['security', '--help']).status === 0;

for (const unit of globSync('*.service', { cwd: folder })) {
  test(`systemd counts an exposure below 3 for ${unit}`, { skip: !isHere }, () => {
    const args = ['security', '--offline=true', '--no-pager', folder + unit];
    const ran = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    const level = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(ran.stdout)?.[1]);
    assert.ok(level < 3, ran.stdout.slice(-2000) + ran.stderr);
  });
}
