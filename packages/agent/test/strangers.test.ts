/** What other users of the host can read or exchange is refused: keys, passwords, and the folders in which an agent keeps files. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { incarnation } from '@understudy/core';
import { lockRunDir, placeWarnings, requireOwnPlaces } from '../src/agent/lock.ts';
import { refuseExposedKeys } from '../src/config/secrets.ts';
import { AgentError, parseNodeConfig } from '../src/index.ts';

describe('private keys and the password of the store', () => {
  it('are refused when others can read them, or a group that is not of root', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'us-keys-'));
    try {
      const file = join(folder, 'key');
      await writeFile(file, 'key', { mode: 0o600 });
      const isRoot = process.geteuid?.() === 0;
      const uses = [
        `engine.tls: { ca: /ca.pem, cert: /cert.pem, key: ${file} }`,
        `api.tls: { ca: /ca.pem, cert: /cert.pem, key: ${file} }`,
        `store.tls: { caFile: /ca.pem, certFile: /cert.pem, keyFile: ${file} }`,
        `store.passwordFile: ${file}`,
      ];
      for (const use of uses) {
        const config = parseNodeConfig(withKey(use), '/etc/understudy/node.yaml');
        for (const [mode, outcome] of [
          [0o600, 'fine'],
          [0o400, 'fine'],
          [0o640, isRoot ? 'fine' : 'exposed'],
          [0o660, 'exposed'],
          [0o604, 'exposed'],
          [0o602, 'exposed'],
        ] as const) {
          await chmod(file, mode);
          const end = await refuseExposedKeys(config).then(
            () => 'fine',
            (error: unknown) => (error instanceof AgentError && error.code === 'SECRETS_EXPOSED' ? 'exposed' : error),
          );
          assert.equal(end, outcome, `${use} with mode ${mode.toString(8)}`);
        }
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** A node's file with one key, or one password, in it. */
function withKey(use: string): string {
  const [, section = '', setting = ''] = /^(\w+)\.(.*)$/.exec(use) ?? [];
  const lines: Record<string, string[]> = {
    store: ['kind: etcd', 'endpoints: [https://127.0.0.1:2379]'],
    api: ['listen: 127.0.0.1:8008'],
    engine: ['kind: postgres', 'dataDir: /data', 'listen: 127.0.0.1:5432'],
  };
  lines[section]?.push(setting, ...(setting.startsWith('passwordFile') ? ['username: understudy'] : []));
  const sections = Object.entries(lines).map(([name, all]) => `${name}:\n${all.map((line) => `  ${line}\n`).join('')}`);
  return `cluster: c\nmember: n1\nsecretsFile: /secrets.json\nrunDir: /run/u\n${sections.join('')}`;
}

describe('folders of an agent', () => {
  it('are its own: nobody else may put files in the place of its files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'us-places-'));
    try {
      const who = { member: 'n1', apiUrl: 'http://127.0.0.1:1', incarnation: incarnation(randomUUID()) };
      const runDir = join(folder, 'run');
      const lock = await lockRunDir(runDir, who);
      lock.release();
      for (const mode of [0o777, 0o1777, 0o770]) {
        await chmod(runDir, mode);
        await assert.rejects(lockRunDir(runDir, who), { code: 'RUN_DIR_UNUSABLE', message: /open for other users/ });
      }
      await chmod(runDir, 0o755);
      if (process.geteuid?.() !== 0) return;
      await chown(runDir, 54_321, 54_321);
      await assert.rejects(lockRunDir(runDir, who), { code: 'RUN_DIR_UNUSABLE', message: /belongs to user 54321/ });
      const logs = { level: 'info', decisionsBytes: 1, maxBytes: 1, file: join(runDir, 'agent.log') } as const;
      const engine = { dataDir: join(folder, 'data') };
      assert.throws(() => requireOwnPlaces({ runDir, logs, engine }), /logs\.file/);
      assert.throws(
        () =>
          requireOwnPlaces({ runDir, logs: { ...logs, file: join(folder, 'agent.log') }, stateDir: runDir, engine }),
        /stateDir/,
      );
      const shared = join(folder, 'shared');
      await mkdir(shared);
      const inShared = {
        runDir,
        logs: { ...logs, file: join(folder, 'agent.log') },
        engine: { dataDir: join(shared, 'data') },
      };
      requireOwnPlaces(inShared);
      for (const mode of [0o775, 0o2775]) {
        await chmod(shared, mode);
        assert.throws(() => requireOwnPlaces(inShared), {
          code: 'RUN_DIR_UNUSABLE',
          message: /Give engine\.dataDir a folder/,
        });
      }
      await mkdir(inShared.engine.dataDir);
      await writeFile(join(inShared.engine.dataDir, 'understudy.json'), '{}');
      assert.throws(() => requireOwnPlaces(inShared), { code: 'RUN_DIR_UNUSABLE' }, 'anybody can plant that');
      await writeFile(join(runDir, 'decisions.ndjson'), '');
      requireOwnPlaces(inShared);
      assert.match(placeWarnings(inShared).join(), /chmod go-w/);
      await rm(inShared.engine.dataDir, { recursive: true });
      await chmod(shared, 0o1777);
      requireOwnPlaces(inShared);
      assert.deepEqual(placeWarnings(inShared), []);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
