/** What a node's file that is read again changes at once, and what only a restart does. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reloadOf } from '../src/config/reload.ts';
import { type NodeConfig, parseNodeConfig } from '../src/index.ts';

const FILE = `
cluster: demo
member: n1
store: { kind: local, path: store.db }
engine: { kind: postgres, dataDir: data }
secretsFile: secrets.json
runDir: run
insecure: true
`;

const config = (more = '', text = FILE): NodeConfig => parseNodeConfig(text + more, '/etc/understudy/n1.yaml');

describe('reload', () => {
  it('changes nothing when the file is the same', () => {
    const running = config();
    assert.deepEqual(reloadOf(running, config()), { config: running, applied: [], needsRestart: [] });
  });

  it('takes over tags, the level of the log and trust in callers of this machine', () => {
    const file = config('tags: { nofailover: true, zone: b }\nlogs: { level: debug }\napi: { loopback: trusted }\n');
    const reload = reloadOf(config(), file);
    assert.deepEqual(reload.applied, ['api.loopback', 'logs.level', 'tags.nofailover', 'tags.zone']);
    assert.deepEqual(reload.needsRestart, []);
    assert.deepEqual(reload.config, file);
  });

  it('keeps a member that is delayed on purpose from leading, from acknowledging and from being read', () => {
    const { tags } = config('tags: { delayMs: 60000, nosync: false }\n');
    assert.deepEqual([tags.nofailover, tags.nosync, tags.noloadbalance], [true, true, true]);
    assert.throws(() => config('tags: { delayMs: -1 }\n'), /tags\.delayMs/);
  });

  it('names what needs a restart, keeps it as it is, and names it again the next time', () => {
    const changed = FILE.replace('dataDir: data', 'dataDir: other, parameters: { work_mem: 8MB }');
    const file = config('tags: { priority: 7 }\nlogs: { file: agent.log }\nasideBudgetBytes: 1\n', changed);
    const running = config();
    const first = reloadOf(running, file);
    const names = ['asideBudgetBytes', 'engine.dataDir', 'engine.parameters.work_mem', 'logs.file'];
    assert.deepEqual(first.applied, ['tags.priority']);
    assert.deepEqual(first.needsRestart, names);
    assert.deepEqual(first.config, { ...running, tags: file.tags });
    const second = reloadOf(first.config, file);
    assert.deepEqual([second.applied, second.needsRestart], [[], names]);
  });

  it('takes a list as a whole', () => {
    const etcd = (endpoints: string) =>
      config('', FILE.replace('{ kind: local, path: store.db }', `{ kind: etcd, endpoints: [${endpoints}] }`));
    const reload = reloadOf(etcd('"http://10.0.0.1:2379"'), etcd('"http://10.0.0.2:2379"'));
    assert.deepEqual(reload.needsRestart, ['store.endpoints']);
  });
});
