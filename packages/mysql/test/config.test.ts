import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checkParameters, parseCatalog } from '../src/config/catalog.ts';
import {
  parametersOf,
  quoteValue,
  renderClientConfig,
  renderConfig,
  serverSettings,
  sqlValue,
} from '../src/config/file.ts';
import { canonicalName, reservedReason, settingsProfiles } from '../src/config/settings.ts';

const help = `
The following options may be given as the first argument:
--port=#            Port number to use for connection or 0 for default to,
                    in order of preference, my.cnf
Variables (--variable-name=value)
and boolean options {FALSE|TRUE}                             Value (after reading options)
------------------------------------------------------------ -------------
innodb-buffer-pool-size                                      134217728
max-connections                                              151
tls-ciphersuites                                             (No default value)
replicate-do-db                                              (No default value)

To see what values a running MySQL server is using, type
'mysqladmin variables' instead of 'mysqld --verbose --help'.
`;

describe('parameters', () => {
  const catalog = parseCatalog(help);

  it('reads the variables that a server knows from its help', () => {
    assert.deepEqual([...catalog].sort(), [
      'innodb_buffer_pool_size',
      'max_connections',
      'replicate_do_db',
      'tls_ciphersuites',
    ]);
  });

  it('takes known ones in any spelling', () => {
    const given = { 'max-connections': '300', INNODB_BUFFER_POOL_SIZE: '1G', 'validate_password.policy': 'LOW' };
    assert.deepEqual(checkParameters(given, 'the cluster', catalog, 'mysql'), {
      good: { max_connections: '300', innodb_buffer_pool_size: '1G', 'validate_password.policy': 'LOW' },
      problems: [],
    });
  });

  it('says why it leaves one out', () => {
    const given = { sync_binlog: '0', max_conections: '3', max_connections: '3\nread_only=0', replicate_do_db: 'a' };
    const { good, problems } = checkParameters(given, 'this node', catalog, 'mariadb');
    assert.deepEqual(good, {});
    assert.equal(problems.length, 4);
    assert.match(problems[0] ?? '', /sync_binlog of this node is set by Understudy itself \(.*crash/);
    assert.match(problems[1] ?? '', /not known to this server; correct/);
    assert.match(problems[2] ?? '', /more than one line/);
    assert.match(problems[3] ?? '', /same data/);
  });
});

describe('reserved settings', () => {
  it('are recognised however they are spelled', () => {
    const spellings = [
      'read-only',
      'READ_ONLY',
      'loose-read_only',
      'skip-slave-start',
      'skip_log_bin',
      'disable-log-bin',
    ];
    for (const name of [...spellings, 'log-bin', 'datadir', 'server-id', 'plugin-load', 'binlog-ignore-db']) {
      assert.notEqual(reservedReason(name, 'mysql'), null, name);
    }
    assert.equal(reservedReason('max_connections', 'mysql'), null);
    assert.equal(reservedReason('super_read_only', 'mysql')?.includes('read-only'), true);
  });

  it('are none that a user may set', () => {
    for (const flavour of ['mysql', 'mariadb'] as const) {
      const { defaults } = settingsProfiles[flavour];
      assert.deepEqual(
        defaults.filter(([name]) => reservedReason(name, flavour) !== null),
        [],
      );
    }
  });

  it('have one name each', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z][a-z_-]{0,20}$/), (name) => {
        assert.equal(canonicalName(name.replaceAll('_', '-')), canonicalName(name.replaceAll('-', '_')));
      }),
    );
  });
});

describe('configuration file', () => {
  it('finds what a server would read in a file of the user, with the lines', () => {
    const text =
      '[client]\nport=1\n[mysqld]\n# read_only=0\nmax-connections = 5\n!include /x\n[mysqld-9.7]\nskip_log_bin\n[mysqldump]\nquick\n';
    assert.deepEqual(serverSettings(text), [
      { name: 'max-connections', value: '5', line: 5 },
      { name: 'skip_log_bin', value: null, line: 8 },
    ]);
  });

  it("has the user's file first and ours last", () => {
    const text = renderConfig('/etc/mine.cnf', [
      ['port', '3306'],
      ['init_connect', "set names 'utf8mb4' # x"],
    ]);
    assert.deepEqual(text.split('\n').slice(2), [
      '!include /etc/mine.cnf',
      '[mysqld]',
      'port = 3306',
      `init_connect = "set names 'utf8mb4' # x"`,
      '',
    ]);
  });

  it('tells a later agent with which parameters it was made', () => {
    const parameters = fc.dictionary(fc.stringMatching(/^[a-z]{1,12}$/), fc.string());
    fc.assert(
      fc.property(parameters, (given) => assert.deepEqual(parametersOf(renderConfig(null, [], given)), { ...given })),
    );
    assert.deepEqual(parametersOf('[mysqld]\nport = 1\n'), {});
  });

  it('quotes what would be a comment or an escape', () => {
    assert.equal(quoteValue('/var/lib/my-data'), '/var/lib/my-data');
    assert.equal(quoteValue('a\\b'), '"a\\\\b"');
    assert.equal(quoteValue('say "hi"'), `'say "hi"'`);
    assert.match(renderClientConfig({ password: "it's # \\ here" }, null), /^password = "it's # \\\\ here"$/m);
  });
});

describe('values for a running server', () => {
  it('are numbers without units, or quoted words', () => {
    const written = ['64M', '151', 'ON', '0.5', "it's", '1g'].map(sqlValue);
    assert.deepEqual(written, ['67108864', '151', "'ON'", '0.5', "'it''s'", '1073741824']);
  });
});
