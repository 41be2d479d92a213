// Goal: who listens in the place of a server does not get a password by asking for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerLogin } from '../src/worker/server/server-login.ts';

const credentials = { kind: 'password', password: 'the secret' } as const;

test('a password in clear goes to a server whose certificate was checked, and to no other', async () => {
  await assert.rejects(new ServerLogin('u', credentials, false).answer({ kind: 'cleartext' }), { code: 'auth-failed' });
  const answer = await new ServerLogin('u', credentials, true).answer({ kind: 'cleartext' });
  assert.ok(answer?.includes('the secret'));
});
