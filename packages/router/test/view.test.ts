// Goal: writes are sent to nobody unless exactly one member of the newest epoch says that it takes them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinWords, type Word } from '../src/topology/view.ts';

const places = ['n1', 'n2', 'n3'].map((name, at) => ({ name, host: '127.0.0.1', port: 5001 + at }));
const word = (member: string, epoch: number, serves: Word['serves']): [string, Word] => [
  member,
  { member, epoch, serves, lagMs: null },
];
const view = (...words: [string, Word][]) => joinWords(places, new Map(words));

test('one primary, two replicas', () => {
  const { primary, epoch, members } = view(
    word('n1', 3, 'replica'),
    word('n2', 3, 'primary'),
    word('n3', 3, 'replica'),
  );
  assert.deepEqual([primary, epoch, members.map((each) => each.serves)], ['n2', 3, ['replica', 'primary', 'replica']]);
});

test('a primary of an older epoch is none, from the first word of the newer one on', () => {
  const { primary, members } = view(word('n1', 4, 'replica'), word('n2', 3, 'primary'));
  assert.equal(primary, null);
  assert.equal(members.find((each) => each.name === 'n2')?.serves, 'none');
  assert.equal(view(word('n1', 4, 'primary'), word('n2', 3, 'primary')).primary, 'n1');
});

test('of two in one epoch neither is believed', () => {
  assert.equal(view(word('n1', 3, 'primary'), word('n2', 3, 'primary')).primary, null);
});

test('a member that nothing is heard of serves nobody', () => {
  const { primary, members } = view(word('n2', 3, 'primary'));
  assert.equal(primary, 'n2');
  assert.deepEqual(
    members.map((each) => each.serves),
    ['none', 'primary', 'none'],
  );
});
