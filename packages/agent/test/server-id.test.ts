/** A server_id belongs to one member: claimed in the store by number, given up when its member is forgotten. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memberId } from '@understudy/core';
import type { KeyValue, Revision, Snapshot, StoreId } from '@understudy/store';
import { claimOf, refuseTakenServerId } from '../src/agent/server-id.ts';
import { tooManyAcks, unkeepable } from '../src/config/acks.ts';
import { AgentError } from '../src/index.ts';

const at = (value: number): Revision => value as Revision;

function snapshotOf(values: Readonly<Record<string, string>>): Snapshot {
  const list = Object.entries(values).map(([key, value]): [string, KeyValue] => [
    key,
    { key, value, createRevision: at(3), modRevision: at(5), lease: null },
  ]);
  return { storeId: 's' as StoreId, revision: at(7), entries: new Map(list) };
}

const n1 = memberId('n1');

describe('server_id', () => {
  it('is free when nobody has it', () => {
    const claim = claimOf(snapshotOf({}), n1, 7);
    assert.ok(claim.kind === 'free');
    assert.deepEqual(claim.compare, { kind: 'absent', key: 'server-ids/7' });
    assert.deepEqual(claim.write, { kind: 'put', key: 'server-ids/7', value: '"n1"' });
  });

  it('stays with the member that has it', () => {
    assert.deepEqual(claimOf(snapshotOf({ 'server-ids/7': '"n1"', 'members/n1': '{}' }), n1, 7), { kind: 'held' });
  });

  it('is refused while another member is registered with it, by name', () => {
    const snapshot = snapshotOf({ 'server-ids/7': '"n2"', 'members/n2': '{}' });
    assert.deepEqual(claimOf(snapshot, n1, 7), { kind: 'taken', by: 'n2' });
    assert.throws(
      () => refuseTakenServerId(snapshot, n1, 7),
      (error) => error instanceof AgentError && error.code === 'SERVER_ID_TAKEN' && /"n2"/.test(error.message),
    );
    assert.deepEqual(claimOf(snapshot, n1, 7 + 2 ** 31), { kind: 'taken', by: 'n2' }, 'its second number');
    refuseTakenServerId(snapshot, n1, 8);
    refuseTakenServerId(snapshot, n1, null);
    refuseTakenServerId(null, n1, 7);
  });

  it('is taken over from a member that was forgotten, unless somebody else is quicker', () => {
    const claim = claimOf(snapshotOf({ 'server-ids/7': '"n2"' }), n1, 7);
    assert.ok(claim.kind === 'free');
    assert.deepEqual(claim.compare, { kind: 'unchanged', key: 'server-ids/7', modRevision: 5 });
  });
});

describe('requiredAcks', () => {
  it('is bounded by what the engine can wait for', () => {
    assert.equal(tooManyAcks({ name: 'postgres', requiredAcksMax: null }, 8), null);
    assert.equal(tooManyAcks({ name: 'mariadb', requiredAcksMax: 1 }, 1), null);
    assert.match(tooManyAcks({ name: 'mariadb', requiredAcksMax: 1 }, 2) ?? '', /more than 1 acknowledgement, 2 are/);
  });
});

describe('synchronousCommit', () => {
  const mysql = { name: 'mysql', requiredAcksMax: 1, commitDegrees: [] };

  it('is bounded by what the engine knows of its replicas', () => {
    assert.deepEqual(unkeepable(mysql, { requiredAcks: 1, synchronousCommit: 'on' }), []);
    const wrong = unkeepable(mysql, { requiredAcks: 2, synchronousCommit: 'remote_apply' });
    assert.match(
      wrong.join('; '),
      /requiredAcks: .*; synchronousCommit: a commit of mysql waits .* "remote_apply" cannot/,
    );
    const postgres = { name: 'postgres', requiredAcksMax: null, commitDegrees: ['remote_apply'] as const };
    assert.deepEqual(unkeepable(postgres, { requiredAcks: 2, synchronousCommit: 'remote_apply' }), []);
  });
});
