/**
 * Goal: "certainly not applied" is said only where etcd itself guarantees it. Method: what etcd 3.4 and 3.5 answer,
 * word for word, and what gateways and connections do in between.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Failure, judgeAnswer, judgeConnection } from '../src/etcd/failure.ts';
import { fromFailure } from '../src/etcd/report.ts';

const AT = 'http://etcd1:2379';

function answer(status: number, code: number, text: string): Failure[] {
  const v1 = judgeAnswer(AT, status, { error: text, message: text, code });
  const v2 = judgeAnswer(AT, status, { message: text, code, details: [] });
  assert.deepEqual(v1, v2);
  return [v1, v2];
}

it('knows refusals without effect', () => {
  const refusals: [number, number, string, Failure['code'], Failure['helps']][] = [
    [503, 14, 'etcdserver: no leader', 'unavailable', 'endpoint'],
    [429, 8, 'etcdserver: too many requests', 'unavailable', 'endpoint'],
    [401, 16, 'etcdserver: invalid auth token', 'unauthorized', 'token'],
    [400, 3, 'etcdserver: revision of auth store is old', 'unauthorized', 'token'],
    [500, 2, 'auth: revision in header is old', 'unauthorized', 'token'],
    [403, 7, 'etcdserver: permission denied', 'unauthorized', 'nothing'],
    [400, 3, 'etcdserver: user name is empty', 'unauthorized', 'nothing'],
    [400, 3, 'etcdserver: authentication failed, invalid user ID or password', 'unauthorized', 'nothing'],
    [404, 5, 'etcdserver: requested lease not found', 'lease-expired', 'nothing'],
    [429, 8, 'etcdserver: mvcc: database space exceeded', 'store-full', 'nothing'],
    [400, 3, 'etcdserver: request is too large', 'invalid-argument', 'nothing'],
  ];
  for (const [status, grpc, text, code, helps] of refusals) {
    for (const failure of answer(status, grpc, text)) {
      assert.deepEqual(failure, { endpoint: AT, code, effect: 'none', helps, text }, text);
      assert.notEqual(fromFailure(failure, 'transaction').retry, 'unknown');
    }
  }
});

it('knows the certificate that names a user, which is refused before anything is done', () => {
  const said = 'CommonName of client sending a request against gateway will be ignored and not used as expected\n';
  const failure = judgeAnswer(AT, 400, said);
  assert.deepEqual([failure.code, failure.effect, failure.helps], ['unauthorized', 'none', 'nothing']);
  assert.match(fromFailure(failure, 'transaction').message, /cert client --etcd/);
});

it('takes everything else for unknown', () => {
  const unknowns: Failure[] = [
    ...answer(503, 14, 'etcdserver: request timed out'),
    ...answer(503, 14, 'etcdserver: request timed out, possibly due to previous leader failure'),
    ...answer(503, 14, 'etcdserver: request timed out, possibly due to connection lost'),
    ...answer(503, 14, 'etcdserver: leader changed'),
    ...answer(503, 14, 'etcdserver: server stopped'),
    ...answer(504, 4, 'context deadline exceeded'),
    ...answer(500, 2, 'raft proposal dropped'),
    ...answer(503, 14, 'transport is closing'),
    ...answer(429, 8, 'grpc: received message larger than max (5000000 vs. 4194304)'),
    ...answer(500, 13, 'etcdserver: something new'),
    judgeAnswer(AT, 502, null),
    judgeAnswer(AT, 400, null),
    judgeAnswer(AT, 400, 'something else'),
    judgeAnswer(AT, 404, { message: 'Not Found', code: 5 }),
    judgeConnection(AT, Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), true),
  ];
  for (const failure of unknowns) {
    assert.equal(failure.effect, 'unknown', failure.text);
    const error = fromFailure(failure, 'transaction');
    assert.equal(error.retry, 'unknown');
    assert.equal(error.code, 'outcome-unknown');
    // The same failure of a read has had no effect, whatever it was.
    assert.notEqual(fromFailure(failure, 'read').retry, 'unknown');
  }
});

it('knows that nothing was sent over a connection that never stood', () => {
  for (const code of ['ECONNREFUSED', 'EHOSTUNREACH', 'ENOTFOUND', 'CERT_HAS_EXPIRED']) {
    const failure = judgeConnection(AT, Object.assign(new Error(code), { code }), false);
    assert.equal(failure.effect, 'none');
    assert.equal(failure.code, code === 'CERT_HAS_EXPIRED' ? 'unauthorized' : 'unavailable');
  }
});
