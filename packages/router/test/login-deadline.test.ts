// Goal: a login that is over waits for nothing any more: its place is free for others.
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { Batch } from '../src/worker/batch.ts';
import { firstServer } from '../src/worker/client/welcome.ts';
import { Pool } from '../src/worker/pool/pool.ts';

test('the socket of a login is closed while it waits for a server', { timeout: 5_000 }, async () => {
  const batch = new Batch();
  const pool = new Pool({
    user: 'u',
    database: 'd',
    credentials: () => ({ kind: 'none' }),
    view: () => ({ epoch: 0, primary: null, members: [] }),
    tls: null,
    limits: { size: 1, idleMs: 60_000, waitMs: 60_000, waiting: 10, waitingBytes: 1_000 },
    batch,
    onRefused: () => undefined,
    onLost: () => undefined,
  });
  const socket = new Socket();
  const waiting = firstServer({ batch, group: () => ({ pool }) }, socket, 'u', 'd', 'primary', new Map());
  assert.equal(pool.waiting, 1);
  socket.destroy();
  await assert.rejects(waiting, { code: 'unexpected' });
  assert.equal(pool.waiting, 0);
  await assert.rejects(firstServer({ batch, group: () => ({ pool }) }, socket, 'u', 'd', 'primary', new Map()));
  pool.close();
});
