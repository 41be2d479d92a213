// Goal: clients of the drill do not keep a busy server busy with logins that they give up, and leave a dead node at once for a living one.
// Method: the rule by values; the rest with a server of its own that accepts connections and says nothing.
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { postgresDatabase } from '../src/database/postgres.ts';
import { Login, nextLoginMs } from '../src/workload/login.ts';

const sockets = new Set<Socket>();
const mute = createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined);
});

before(() => new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve)));
after(() => {
  for (const socket of sockets) socket.destroy();
  mute.close();
});

test('a login that ran out of time gets twice as long the next time, up to a bound; a refusal does not, and a success begins again', () => {
  assert.equal(nextLoginMs(400, 400, 'failed'), 800);
  assert.equal(nextLoginMs(400, 3, 'failed'), 400);
  assert.equal(nextLoginMs(6400, 6400, 'failed'), 6400);
  assert.equal(nextLoginMs(3200, 900, 'in'), 400);
});

test('a login to a node that says nothing is left when another one takes writes', async () => {
  const { port } = mute.address() as AddressInfo;
  const target = { node: 'n1', host: '127.0.0.1', port, user: 'u', password: 'p', database: 'd', ca: null };
  let primary = 'n1';
  // It would wait for this server for a minute.
  const database = { open: (to: typeof target) => postgresDatabase.open(to, 60_000) };
  const login = new Login({ database, primary: () => primary });
  const pending = login.to(target);
  primary = 'n2';
  assert.equal(await pending, null);
  for (const socket of sockets) socket.destroy();
  await login.close();
});
