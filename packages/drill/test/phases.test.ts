import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DecisionEvent, nothingSeen, phasesOf } from '../src/check/phases.ts';

const event = (node: string, atMs: number, code: string, given: Partial<DecisionEvent> = {}): DecisionEvent => ({
  node,
  atMs,
  code,
  suspects: false,
  takesLead: false,
  ...given,
});

test('an outage is split at what the agents decided', () => {
  const events = [
    event('b', 1010, 'sealing', { suspects: true }),
    event('c', 1012, 'sealing', { suspects: true }),
    event('b', 1030, 'seal-published'),
    event('c', 1040, 'seal-published'),
    event('b', 1050, 'leader-lost', { takesLead: true }),
    event('b', 1150, 'opened'),
  ];
  assert.deepEqual(phasesOf(events, 1000, { fromMs: 990, toMs: 1170 }), {
    detect: 10,
    seal: 30,
    choose: 10,
    promote: 100,
    reconnect: 20,
  });
});

test('when a second leader had to be chosen, the last one ended the outage', () => {
  const events = [
    event('b', 1010, 'seal-published', { suspects: true }),
    event('b', 1050, 'leader-lost', { takesLead: true }),
    event('b', 1150, 'opened'),
    event('c', 1200, 'seal-published', { suspects: true }),
    event('c', 1250, 'leader-lost', { takesLead: true }),
    event('c', 1350, 'opened'),
  ];
  assert.deepEqual(phasesOf(events, 1000, { fromMs: 990, toMs: 1400 }), {
    detect: 10,
    seal: 190,
    choose: 50,
    promote: 100,
    reconnect: 50,
  });
});

test('what was not seen is null, and what lies outside is not looked at', () => {
  const events = [event('b', 900, 'opened'), event('b', 2000, 'opened')];
  assert.deepEqual(phasesOf(events, 1000, { fromMs: 990, toMs: 1500 }), nothingSeen);
});

test('a client that waited longest after the new leader had opened waited for something else', () => {
  const events = [
    event('b', 1010, 'seal-published', { suspects: true }),
    event('b', 1050, 'leader-lost', { takesLead: true }),
    event('b', 1150, 'opened'),
  ];
  assert.deepEqual(phasesOf(events, 1000, { fromMs: 1300, toMs: 2100 }), nothingSeen);
});
