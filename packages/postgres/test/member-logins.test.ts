import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DEFAULT_TAGS, type Member, memberId } from '@understudy/core';
import { keepMemberLogins } from '../src/commands/member-logins.ts';
import type { Instance } from '../src/instance.ts';

// A server refuses a single statement only for reasons that a test cannot give it by command: the statements are looked at.
it('a role that cannot be made keeps no other member from getting its own', async () => {
  const member = (name: string): Member => ({
    id: memberId(name),
    apiUrl: 'http://127.0.0.1:1',
    host: '127.0.0.1',
    port: 5432,
    tags: DEFAULT_TAGS,
    logins: { own: [{ id: '1', slot: 'a', verifier: `verifier of ${name}` }], shared: 'left' },
  });
  const members = new Map(['n1', 'n2'].map((name) => [memberId(name), member(name)]));
  const made: string[] = [];
  const session = {
    rows: async (statement: string) => {
      if (!statement.startsWith('create role')) return [];
      if (statement.includes('verifier of n1')) throw new Error('refused');
      made.push(statement);
      return [];
    },
  };
  const instance: Instance = Object.create(null);
  await assert.rejects(keepMemberLogins(session, instance, { members }, 1000), /refused/);
  assert(made.some((statement) => statement.includes('verifier of n2')));
});
