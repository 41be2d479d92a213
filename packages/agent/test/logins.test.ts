import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { memberId } from '@understudy/core';
import { loginKey } from '@understudy/engine';
import { LOGINS_FILE, MemberLoginFile } from '../src/logins/own-logins.ts';
import {
  advanced,
  attempted,
  begun,
  firstState,
  type LoginFacts,
  loginAt,
  noAttempts,
  type OwnLogin,
  patienceMs,
} from '../src/logins/steps.ts';

const login = (id: string, slot: 'a' | 'b'): OwnLogin => ({ id, slot, verifier: `verifier ${id}`, password: id });
const first = login('1', 'a');
const second = login('2', 'b');
const facts = (more: Partial<LoginFacts> = {}): LoginFacts => ({
  taken: 'unknown',
  leads: false,
  upstream: memberId('n2'),
  streamsAs: null,
  everybodyHas: true,
  ...more,
});

describe('a rotation of a member’s login', () => {
  it('never uses one that the other end does not take, and leaves none out that is in use', () => {
    let state = begun({ own: [first], shared: 'left', used: 'a' }, second);
    assert.equal(loginAt(state, ['1']), 'a', 'the new one is not there yet');
    state = advanced(state, facts({ taken: ['1'], streamsAs: 'a' }));
    assert.deepEqual(
      state.own.map(({ id }) => id),
      ['1', '2'],
    );
    assert.equal(loginAt(state, ['1', '2']), 'b');
    state = advanced(state, facts({ taken: ['1', '2'], streamsAs: 'a' }));
    assert.equal(state.own.length, 2, 'the stream still has the old one');
    state = advanced(state, facts({ taken: ['1', '2'], streamsAs: 'b' }));
    assert.deepEqual(
      state.own.map(({ id }) => id),
      ['2'],
    );
    assert.equal(loginAt(state, 'unknown'), 'b');
  });

  it('goes back to the old one at a leader that has not heard of the new one', () => {
    const state = advanced(begun({ own: [first], shared: 'left', used: 'a' }, second), facts({ taken: ['1', '2'] }));
    assert.equal(loginAt(state, ['1']), 'a');
    assert.equal(loginAt(state, 'unknown'), 'b');
  });

  it('goes on where it was when it is asked for twice', () => {
    const state = begun({ own: [first], shared: 'left', used: 'a' }, second);
    assert.equal(begun(state, login('3', 'a')), state);
  });

  it('needs no stream on the leader itself', () => {
    const state = advanced(
      begun({ own: [first], shared: 'left', used: 'a' }, second),
      facts({ leads: true, taken: ['1', '2'] }),
    );
    assert.deepEqual(
      state.own.map(({ id }) => id),
      ['2'],
    );
  });
});

describe('a login that is said to be taken, and brings no stream', () => {
  const changing = begun({ own: [first], shared: 'left', used: 'a' }, second);
  const refused = facts({ taken: ['1', '2'] });

  it('gives way to the one before, and is tried again later, each time later', () => {
    let seen = attempted(changing, noAttempts, refused, 0);
    seen = attempted(changing, seen, refused, patienceMs - 1);
    assert.equal(loginAt(changing, ['1', '2'], seen, patienceMs - 1), 'b');
    seen = attempted(changing, seen, refused, patienceMs);
    assert.equal(loginAt(changing, ['1', '2'], seen, patienceMs), 'a');
    const again = patienceMs + 60_000;
    seen = attempted(changing, seen, { ...refused, streamsAs: 'a' }, again - 1);
    assert.equal(loginAt(changing, ['1', '2'], seen, again - 1), 'a');
    assert.equal(loginAt(changing, ['1', '2'], seen, again), 'b');
    for (const ms of [again, again + patienceMs]) seen = attempted(changing, seen, refused, ms);
    assert.equal(loginAt(changing, ['1', '2'], seen, again + patienceMs + 119_999), 'a');
    assert.equal(loginAt(changing, ['1', '2'], seen, again + patienceMs + 120_000), 'b');
  });

  it('gives way to the shared one while that is not closed', () => {
    const state = firstState(first, true);
    let seen = noAttempts;
    for (const ms of [0, patienceMs]) seen = attempted(state, seen, facts({ taken: ['1'] }), ms);
    assert.equal(loginAt(state, ['1'], seen, patienceMs), 'shared');
  });

  it('stays where nothing else is open, and at another server it is not held against it', () => {
    const alone = { ...changing, own: [second] };
    let seen = noAttempts;
    for (const ms of [0, patienceMs]) seen = attempted(alone, seen, facts({ taken: ['2'] }), ms);
    assert.equal(loginAt(alone, ['2'], seen, patienceMs), 'b');
    for (const ms of [0, patienceMs]) seen = attempted(changing, seen, refused, ms);
    seen = attempted(changing, seen, { ...refused, upstream: memberId('n3') }, patienceMs + 1);
    assert.equal(loginAt(changing, ['1', '2'], seen, patienceMs + 1), 'b');
  });

  it('is not left while its stream runs before another one is accepted', () => {
    const state = firstState(first, true);
    const seen = attempted(state, noAttempts, facts({ taken: [], streamsAs: 'a' }), 0);
    assert.equal(loginAt(state, [], seen), 'a');
    assert.equal(loginAt({ ...state, used: 'shared' }, 'unknown', seen), 'a');
  });
});

describe('an upgrade to logins of members’ own', () => {
  it('keeps the shared account until every agent knows such logins', () => {
    let state = firstState(first, true);
    assert.equal(loginAt(state, 'older'), 'shared');
    assert.equal(loginAt(state, 'unknown'), 'shared');
    assert.equal(loginAt(state, []), 'shared', 'the leader has not made it yet');
    state = advanced(state, facts({ taken: ['1'], streamsAs: 'a', everybodyHas: false }));
    assert.equal(state.shared, 'in-use');
    state = advanced(state, facts({ taken: ['1'], streamsAs: 'a' }));
    assert.equal(state.shared, 'left');
    assert.equal(
      advanced(state, facts({ everybodyHas: false })).shared,
      'in-use',
      'one went back to the version before',
    );
  });

  it('lets a new member never use the shared one', () => {
    for (const taken of [[], 'unknown'] as const) assert.equal(loginAt(firstState(first, false), taken), 'a');
  });
});

describe('the file of logins', () => {
  const verifierOf = async (password: string): Promise<string> => `verifier of ${password}`;
  const self = memberId('n1');
  const folder = async (t: TestContext): Promise<string> => {
    const path = await mkdtemp(join(tmpdir(), 'us-logins-'));
    t.after(() => rm(path, { recursive: true, force: true }));
    return path;
  };

  it('is for its owner alone, survives the agent in the middle of a rotation, and registers no password', async (t) => {
    const path = await folder(t);
    const open = () => MemberLoginFile.open(path, self, { name: 'some', verifierOf }, join(path, 'data'));
    const before = await open();
    await before?.rotate();
    assert.equal((await stat(join(path, LOGINS_FILE))).mode & 0o777, 0o600);
    const after = await open();
    assert.deepEqual(after?.registered, before?.registered);
    assert(after?.isChanging);
    const { passwords } = after.forEngine(() => 'unknown');
    assert.equal(passwords.length, 2);
    const ids = after.registered.own.map(({ id }) => loginKey(self, id));
    await after.advance({
      taken: [...ids, loginKey(memberId('n2'), '1')],
      leads: true,
      upstream: null,
      streamsAs: null,
      everybodyHas: true,
    });
    assert(!after.isChanging);
    const text = await readFile(join(path, LOGINS_FILE), 'utf8');
    assert(!text.includes(passwords[0]?.password ?? ''), 'the old password is gone from the disk');
  });

  it('is made anew when others could read it, or when it is of another engine', async (t) => {
    const path = await folder(t);
    const open = (name: string) => MemberLoginFile.open(path, self, { name, verifierOf }, join(path, 'data'));
    const one = await open('one');
    assert.notDeepEqual((await open('two'))?.registered, one?.registered);
    const two = await open('two');
    await chmod(join(path, LOGINS_FILE), 0o644);
    assert.notDeepEqual((await open('two'))?.registered, two?.registered);
    await writeFile(join(path, LOGINS_FILE), '{}');
    assert.equal((await open('two'))?.registered.own.length, 1);
  });
});
