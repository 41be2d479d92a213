// Goal: a further member's file is the present member's with what is its own changed, and nothing else. Method: texts in, texts out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNodeConfig } from '@understudy/agent/client';
import { newNodeFile } from '../src/members/new-node.ts';

const text = `# of the shop
cluster: shop
member: n1
store:
  kind: etcd
  endpoints: ["https://10.0.0.1:2379", "https://10.0.0.2:2379"] # n1, n2
  tls: { caFile: ca.pem, certFile: n1.pem, keyFile: n1.key }
api:
  listen: 10.0.0.1:8008
  advertise: https://10.0.0.1:8008
  tls: { ca: ca.pem, cert: pki/n1.pem, key: n10.key, clientCert: optional }
engine:
  kind: postgres
  dataDir: /var/lib/understudy/data
  listen: 10.0.0.1:5432
  tls: { ca: ca.pem, cert: n1.pem, key: n1.key }
secretsFile: secrets.json
runDir: /run/understudy
tags: { nofailover: true, zone: a }
`;
const node = {
  member: 'n4',
  api: { host: '10.0.0.4', port: 8008 },
  listen: { host: '10.0.0.4', port: 5433 },
  serverId: null,
  zone: 'b',
};

test("a further member's file", () => {
  const made = newNodeFile(text, 'n1', node);
  const config = parseNodeConfig(made, '/etc/understudy/node.yaml');
  assert.equal(config.member, 'n4');
  assert.deepEqual(config.api.listen, node.api);
  assert.match(made, /advertise: https:\/\/10\.0\.0\.4:8008/);
  assert.deepEqual(config.engine.listen, node.listen);
  assert.deepEqual(config.engine.tls, {
    ca: '/etc/understudy/ca.pem',
    cert: '/etc/understudy/n4.pem',
    key: '/etc/understudy/n4.key',
    verify: 'full',
  });
  assert.equal(config.api.tls?.cert, '/etc/understudy/pki/n4.pem');
  assert.equal(config.api.tls?.key, '/etc/understudy/n10.key', 'n10 is not n1');
  assert.deepEqual([config.tags.zone, config.tags.nofailover], ['b', false], 'tags are said of one member');
  assert.match(made, /^# of the shop$/m);
  assert.match(made, /endpoints: \[ ?"https:\/\/10\.0\.0\.1:2379"/);
});

test('what is no file of a member is refused', () => {
  assert.throws(() => newNodeFile('- a\n- b\n', 'n1', node), /not a list of settings/);
});
