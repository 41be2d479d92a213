/** Node and cluster configuration: what is right is read, what is wrong is named with line, key, value and fix. */

import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DEFAULT_CONFIG } from '@understudy/core';
import fc from 'fast-check';
import {
  AgentError,
  advertisedUrl,
  ConfigError,
  clusterConfigSchema,
  formatAddress,
  loadSecrets,
  nearest,
  parseAddress,
  parseClusterConfig,
  parseNodeConfig,
  patchClusterConfig,
} from '../src/index.ts';

const MINIMAL = `
cluster: demo
member: n1
store:
  kind: local
  path: store.db
engine:
  kind: postgres
  dataDir: data
secretsFile: secrets.json
runDir: run
`;

function problemsOf(text: string) {
  try {
    parseNodeConfig(text, '/etc/understudy/n1.yaml');
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return assert.fail('was accepted');
}

describe('node configuration', () => {
  it('fills in defaults and makes paths absolute from the folder of the file', () => {
    const config = parseNodeConfig(MINIMAL, '/etc/understudy/n1.yaml');
    assert.equal(config.engine.dataDir, '/etc/understudy/data');
    assert.equal(config.runDir, '/etc/understudy/run');
    assert.deepEqual(config.store, { kind: 'local', path: '/etc/understudy/store.db' });
    assert.deepEqual(config.api.listen, { host: '127.0.0.1', port: 8008 });
    assert.equal(config.guard.mode, 'required');
    assert.equal(advertisedUrl(config), 'http://127.0.0.1:8008');
  });

  it('names an unknown key with its line and what was meant', () => {
    const [problem] = problemsOf(`${MINIMAL}rundir: x\n`);
    assert.equal(problem?.key, 'rundir');
    assert.equal(problem?.line, 12);
    assert.match(problem?.fix ?? '', /Did you mean "runDir"\?/);
  });

  it('names an unknown key of a nested map', () => {
    const [problem] = problemsOf(MINIMAL.replace('  dataDir: data', '  datadir: data\n  dataDir: data'));
    assert.equal(problem?.key, 'engine.datadir');
    assert.equal(problem?.line, 9);
    assert.match(problem?.fix ?? '', /dataDir/);
  });

  it('names an unknown key inside the chosen kind of store', () => {
    const [problem] = problemsOf(MINIMAL.replace('  path: store.db', '  path: store.db\n  endpoint: x'));
    assert.equal(problem?.key, 'store.endpoint');
    assert.match(problem?.fix ?? '', /kind, path/);
  });

  it('says that a setting is missing', () => {
    const [problem] = problemsOf(MINIMAL.replace('runDir: run\n', ''));
    assert.equal(problem?.key, 'runDir');
    assert.equal(problem?.message, 'is missing');
    assert.match(problem?.fix ?? '', /Add "runDir"/);
  });

  it('names a bad port with its line and value', () => {
    const [problem] = problemsOf(`${MINIMAL}api:\n  listen: 127.0.0.1:80080\n`);
    assert.equal(problem?.key, 'api.listen');
    assert.equal(problem?.line, 13);
    assert.equal(problem?.value, '"127.0.0.1:80080"');
    assert.match(problem?.message ?? '', /1 to 65535/);
  });

  it('refuses the API and the server on one address', () => {
    const [problem] = problemsOf(`${MINIMAL}api:\n  listen: 127.0.0.1:5432\n`);
    assert.match(problem?.message ?? '', /same address as engine.listen/);
  });

  it('refuses an address for everybody without one to tell the others', () => {
    const [problem] = problemsOf(`${MINIMAL}api:\n  listen: 0.0.0.0:8008\n`);
    assert.match(problem?.fix ?? '', /api.advertise/);
  });

  it('says where a file is not YAML', () => {
    const [problem] = problemsOf('cluster: demo\nmember: n1: x\n');
    assert.equal(problem?.line, 2);
    assert.match(problem?.message ?? '', /is not YAML/);
  });

  it('refuses a key that is there twice', () => {
    const [problem] = problemsOf(`${MINIMAL}member: n2\n`);
    assert.match(problem?.message ?? '', /unique/);
  });

  const mysql = MINIMAL.replace('kind: postgres', 'kind: mysql\n  serverId: 7');

  it('reads the settings of MySQL and MariaDB, with their own default port', () => {
    const { engine } = parseNodeConfig(`${mysql.replace('mysql', 'mariadb')}`, '/etc/understudy/n1.yaml');
    assert.ok(engine.kind === 'mariadb');
    assert.equal(engine.serverId, 7);
    assert.deepEqual(engine.listen, { host: '127.0.0.1', port: 3306 });
    const withFile = mysql.replace('serverId: 7', 'serverId: 7\n  version: "9.7"\n  userConfig: my.cnf');
    const other = parseNodeConfig(withFile, '/etc/understudy/n1.yaml').engine;
    assert.ok(other.kind === 'mysql');
    assert.equal(other.version, '9.7');
    assert.equal(other.userConfig, '/etc/understudy/my.cnf');
  });

  it('asks for the server_id, and for a version in quotes', () => {
    const [missing] = problemsOf(mysql.replace('  serverId: 7\n', ''));
    assert.equal(missing?.key, 'engine.serverId');
    assert.equal(missing?.message, 'is missing');
    const [zero] = problemsOf(mysql.replace('serverId: 7', 'serverId: 0'));
    assert.match(zero?.fix ?? '', /1 or more/);
    const [number] = problemsOf(mysql.replace('serverId: 7', 'serverId: 7\n  version: 11.10'));
    assert.match(number?.message ?? '', /quotes/);
  });

  it('refuses what only another engine has', () => {
    const [initdb] = problemsOf(mysql.replace('serverId: 7', 'serverId: 7\n  initdb: []'));
    assert.equal(initdb?.key, 'engine.initdb');
    assert.match(initdb?.fix ?? '', /serverId/);
    const [serverId] = problemsOf(MINIMAL.replace('kind: postgres', 'kind: postgres\n  serverId: 7'));
    assert.equal(serverId?.key, 'engine.serverId');
    const [kind] = problemsOf(MINIMAL.replace('kind: postgres', 'kind: oracle'));
    assert.match(`${kind?.message} ${kind?.fix}`, /mysql/);
  });

  it('never shows the value of a secret', () => {
    const [problem] = problemsOf(MINIMAL.replace('  path: store.db', '  path: x\n  password: hunter2'));
    assert.doesNotMatch(JSON.stringify(problem), /hunter2/);
  });
});

describe('secrets file', () => {
  it('is refused when others can read it, and when it is wrong, without quoting it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'us-secrets-'));
    try {
      const file = join(folder, 'secrets.json');
      const right = { superuser: 'aaaaaaaa', replication: 'bbbbbbbb', rewind: 'cccccccc', monitor: 'dddddddd' };
      await writeFile(file, JSON.stringify(right), { mode: 0o600 });
      assert.deepEqual(await loadSecrets(file), right);
      await chmod(file, 0o640);
      await assert.rejects(
        loadSecrets(file),
        (error) => error instanceof AgentError && error.code === 'SECRETS_EXPOSED',
      );
      await writeFile(file, 'hunter2hunter2', { mode: 0o600 });
      await chmod(file, 0o600);
      await assert.rejects(
        loadSecrets(file),
        (error) => error instanceof AgentError && error.code === 'CONFIG_INVALID' && !error.message.includes('hunter2'),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('cluster configuration', () => {
  it('accepts its own defaults', () => {
    assert.deepEqual(parseClusterConfig({}, 'test'), DEFAULT_CONFIG);
  });

  it('refuses settings that contradict each other', () => {
    assert.throws(
      () => patchClusterConfig(DEFAULT_CONFIG, { suspectAfterMs: 9000 }, 'test'),
      (error) => error instanceof ConfigError && error.problems[0]?.key === 'leaseTtlMs',
    );
  });

  it('helps people who come from Patroni', () => {
    assert.throws(
      () => patchClusterConfig(DEFAULT_CONFIG, { ttl: 30 }, 'test'),
      (error) => error instanceof ConfigError && /leaseTtlMs/.test(error.message),
    );
  });

  it('puts a setting back to its default with null, and removes a parameter with null', () => {
    const changed = patchClusterConfig(
      DEFAULT_CONFIG,
      { requiredAcks: 2, parameters: { work_mem: '8MB', jit: false } },
      'test',
    );
    assert.equal(changed.requiredAcks, 2);
    assert.deepEqual(changed.parameters, { work_mem: '8MB', jit: 'false' });
    const back = patchClusterConfig(changed, { requiredAcks: null, parameters: { jit: null } }, 'test');
    assert.equal(back.requiredAcks, DEFAULT_CONFIG.requiredAcks);
    assert.deepEqual(back.parameters, { work_mem: '8MB' });
  });

  it('takes a tree of upstreams entry by entry, and refuses a circle', () => {
    const chain = patchClusterConfig(DEFAULT_CONFIG, { upstreams: { n2: 'n1', n3: 'n2' } }, 'test');
    assert.deepEqual(chain.upstreams, { n2: 'n1', n3: 'n2' });
    const moved = patchClusterConfig(chain, { upstreams: { n3: null, n4: 'n2' } }, 'test');
    assert.deepEqual(moved.upstreams, { n2: 'n1', n4: 'n2' });
    assert.deepEqual(patchClusterConfig(chain, { upstreams: null }, 'test').upstreams, {});
    assert.throws(
      () => patchClusterConfig(chain, { upstreams: { n1: 'n3' } }, 'test'),
      (error) =>
        error instanceof ConfigError &&
        /upstreams: leads in a circle: n2 under n1 under n3 under n2/.test(error.message),
    );
    assert.throws(() => patchClusterConfig(chain, { upstreams: { n3: 'not a name' } }, 'test'), ConfigError);
  });

  it('never yields a configuration that its own schema refuses, whatever the patch', () => {
    const keys = fc.constantFrom(...Object.keys(DEFAULT_CONFIG), 'ttl', 'parameters');
    fc.assert(
      fc.property(
        fc.dictionary(keys, fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.boolean())),
        (patch) => {
          try {
            assert.ok(clusterConfigSchema.safeParse(patchClusterConfig(DEFAULT_CONFIG, patch, 'test')).success);
          } catch (error) {
            assert.ok(error instanceof ConfigError, String(error));
          }
        },
      ),
    );
  });
});

describe('small helpers', () => {
  it('reads back every address that it writes', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65_535 }), (name, port) => {
        assert.deepEqual(parseAddress(formatAddress({ host: name, port })), { host: name, port });
      }),
    );
  });

  it('suggests close words only', () => {
    assert.equal(nearest('data_dir', ['dataDir', 'binDir']), 'dataDir');
    assert.equal(nearest('suspectAfter', ['suspectAfterMs', 'leaseTtlMs']), 'suspectAfterMs');
    assert.equal(nearest('banana', ['dataDir', 'binDir']), null);
  });
});
