// Goal: what an Execute runs is known, wherever its portal was bound; when it is not, it counts as anything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_STATEMENT } from '@understudy/routing';
import { CLIENT, type ClientMessage, encodeClientMessage } from '@understudy/wire/postgres';
import { ClientRequests } from '../src/worker/client/client-requests.ts';
import { PreparedRegistry } from '../src/worker/server/server-statements.ts';

const commit = { ...EMPTY_STATEMENT, statements: 1, transaction: { kind: 'commit', isChained: false } } as const;
const frame = (type: number, message: ClientMessage) => ({ type, bytes: encodeClientMessage(message) });
const parse = frame(CLIENT.parse, { kind: 'parse', name: '', text: 'commit', types: [] });
const bind = frame(CLIENT.bind, {
  kind: 'bind',
  portal: 'p',
  statement: '',
  formats: [],
  values: [],
  resultFormats: [],
});
const execute = frame(CLIENT.execute, { kind: 'execute', portal: 'p', maxRows: 0 });

test('a portal that was bound in an earlier group', () => {
  const requests = new ClientRequests();
  const read = (...frames: (typeof parse)[]) => requests.read(frames, new PreparedRegistry(), () => commit).classes;
  assert.deepEqual(read(parse, bind), [commit]);
  assert.deepEqual(read(execute), [commit]);
  assert.deepEqual(read(parse, bind, execute), [commit]);
});

test('a portal that nobody saw being bound', () => {
  const [found] = new ClientRequests().read([execute], new PreparedRegistry(), () => commit).classes;
  assert.deepEqual([found?.mayWrite, found?.knowledge], [true, 'none']);
});
