// Goal: a log that is read on a terminal steers it no more than anything else does. Method: a log of this test's own, told what a
// hostile server would say.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLog } from '../src/agent/logger.ts';
import { nodeConfigSchema } from '../src/config/node-config.ts';

test('controls and hidden marks are written as JSON has them, and read back as they were', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'us-log-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'n1.log');
  const evil = 'r\u001b]0;pwned\u0007\u009b2J\u007f\u202e\u200b\r\n';
  const config = nodeConfigSchema.parse({
    cluster: 'shop',
    member: 'n1',
    store: { kind: 'local', path: join(folder, 'store.db') },
    api: { listen: '127.0.0.1:8008', tokenFile: join(folder, 'token') },
    engine: { kind: 'postgres', binDir: folder, dataDir: join(folder, 'data'), listen: '127.0.0.1:5432' },
    secretsFile: join(folder, 'secrets.json'),
    runDir: folder,
    logs: { file },
  });
  const log = openLog(config);
  log.logger.info({ role: evil }, evil);
  await new Promise((done) => setImmediate(done));
  log.flush();
  log.close();
  const text = await readFile(file, 'utf8');
  assert.doesNotMatch(text, /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u);
  const { role, msg } = JSON.parse(text);
  assert.deepEqual([role, msg], [evil, evil]);
});
