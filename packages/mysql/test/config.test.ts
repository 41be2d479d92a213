import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hinders } from '../src/checks/standing.ts';
import { causeOf, saying } from '../src/commands/start-words.ts';
import { atMaking, madeOtherwise, withoutDefaults } from '../src/config/at-making.ts';
import { checkParameters, parseCatalog } from '../src/config/catalog.ts';
import {
  parametersOf,
  quoteValue,
  renderClientConfig,
  renderConfig,
  serverSettings,
  sqlValue,
} from '../src/config/file.ts';
import { hindrances, transportReason } from '../src/config/hindrances.ts';
import { ManagedConfig } from '../src/config/managed.ts';
import { canonicalName, reservedReason, settingsProfiles } from '../src/config/settings.ts';
import { ParameterTrial } from '../src/config/trial.ts';
import { parseOptions } from '../src/options.ts';
import { pathsOf } from '../src/paths.ts';
import type { ServerPrograms } from '../src/programs.ts';

const systemId = '6bab964b-a8f2-48d0-bb16-c87c417392e2';
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

  it('are all that would take the promise away, some of them by their value only', () => {
    const names = ['slave-skip-errors', 'replica_exec_mode', 'binlog_error_action', 'rpl_semi_sync_source_timeout'];
    for (const name of names) assert.notEqual(reservedReason(name, 'mysql'), null, name);
    assert.match(reservedReason('max_statement_time', 'mariadb') ?? '', /answered with success/);
    assert.equal(reservedReason('max_statement_time', 'mysql'), null);
    assert.equal(reservedReason('innodb_flush_method', 'mysql', 'O_DIRECT'), null);
    for (const value of ['nosync', 'O_DIRECT_NO_FSYNC']) {
      const { problems } = checkParameters({ innodb_flush_method: value }, 'the cluster', new Set(), 'mysql');
      assert.match(problems[0] ?? '', /must not be \w+ \(what was acknowledged must survive a crash\)/);
    }
    assert.notEqual(reservedReason('default-storage-engine', 'mariadb', 'MyISAM'), null);
    assert.equal(reservedReason('default-storage-engine', 'mariadb', 'innodb'), null);
  });

  it('are those that take replication away, by the values that do', () => {
    const refused: readonly (readonly ['mysql' | 'mariadb', string, readonly string[], readonly string[]])[] = [
      ['mysql', 'transaction-read-only', ['ON', '1', ''], ['OFF', '0']],
      ['mariadb', 'tx_read_only', ['1'], ['0']],
      ['mysql', 'innodb_read_only', ['on'], ['off']],
      ['mysql', 'max_join_size', ['1', '4294967295'], ['18446744073709551615']],
      ['mysql', 'replica_max_allowed_packet', ['16M', '1073741823'], ['1G', '1073741824']],
      ['mariadb', 'slave_max_allowed_packet', ['16M'], ['1G']],
      ['mysql', 'replica_type_conversions', ['ALL_LOSSY', 'ALL_NON_LOSSY,ALL_LOSSY'], ['ALL_NON_LOSSY', '']],
      ['mariadb', 'slave-type-conversions', ['all_lossy'], ['']],
      ['mariadb', 'slave_run_triggers_for_rbr', ['YES', 'LOGGING', 'ENFORCE'], ['NO']],
      ['mariadb', 'enforce_storage_engine', ['InnoDB', 'MyISAM'], ['']],
      ['mariadb', 'slave_max_statement_time', ['1', '0.5'], ['0', '0.000000']],
      ['mariadb', 'idle_write_transaction_timeout', ['10'], ['0']],
      ['mariadb', 'max_password_errors', ['3'], ['4294967295']],
      ['mariadb', 'secure_timestamp', ['YES', 'REPLICATION'], ['NO', 'SUPER']],
      [
        'mariadb',
        'init_connect',
        ['insert into a.b values (1)', 'set @a=1; do 1'],
        ['SET NAMES utf8mb4', '', 'set @a=1;'],
      ],
    ];
    for (const [flavour, name, bad, good] of refused) {
      for (const value of bad) assert.notEqual(reservedReason(name, flavour, value), null, `${name} ${value}`);
      for (const value of good) assert.equal(reservedReason(name, flavour, value), null, `${name} ${value}`);
      // Behind our back: a sentence, or a reason why the promise is void.
      const shown = canonicalName(name);
      const said = hinders(shown, bad[0] ?? '', flavour, null);
      if (hindrances[flavour][shown]?.effect === 'hinders')
        assert.match(said ?? '', /^\w+ is .*, but .* Run SET GLOBAL /);
      else assert.equal(said, null);
    }
    assert.equal(reservedReason('init_connect', 'mysql', 'insert into a.b values (1)'), null);
    const { problems } = checkParameters({ secure_timestamp: 'YES' }, 'the cluster', new Set(), 'mariadb');
    assert.match(problems[0] ?? '', /secure_timestamp of the cluster must not be YES \(/);
  });

  it('are a demand for encryption where replication has none', () => {
    assert.match(transportReason('require_secure_transport', 'ON', null) ?? '', /set engine.tls first/);
    assert.equal(transportReason('require_secure_transport', 'OFF', null), null);
    assert.equal(transportReason('require_secure_transport', 'ON', { ca: '' }), null);
    assert.match(hinders('require_secure_transport', 'ON', 'mysql', null) ?? '', /SET GLOBAL .* = OFF/);
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

describe('what counts when a database is made', () => {
  it('is known by name; a value as the server shows it is the same value', () => {
    assert.deepEqual(atMaking({ innodb_page_size: '32k', max_connections: '5' }, 'mysql'), { innodb_page_size: '32k' });
    assert.equal(madeOtherwise('innodb_page_size', '32k', { innodb_page_size: '32768' }), null);
    assert.equal(madeOtherwise('innodb_page_size', '16K', {}), null, 'what a database has that was made without it');
    assert.match(madeOtherwise('lower_case_table_names', '1', {}) ?? '', /made with 0/);
    assert.deepEqual(withoutDefaults({ innodb_page_size: '16384', lower_case_table_names: '1' }), {
      lower_case_table_names: '1',
    });
  });

  it('is left as it is asked for on a database whose identity an earlier version wrote', async () => {
    const root = await mkdtemp(join(tmpdir(), 'made-'));
    const options = parseOptions({
      ...{ cluster: 'shop', member: 'n1', serverId: 1, runAs: null, listen: { port: 3306 } },
      ...{ dataDir: root, runDir: join(root, 'run'), cacheDir: root, binaries: { baseDir: '/usr' } },
      secrets: { admin: '12345678', replication: '12345678', clone: '12345678', monitor: '12345678' },
      parameters: { lower_case_table_names: '1' },
    });
    const programs: ServerPrograms = {
      ...{ flavour: 'mariadb', version: '11.8.6', server: '/usr/sbin/mariadbd', baseDir: '/usr' },
      ...{
        libraryPath: undefined,
        installDb: null,
        dump: null,
        client: null,
        backup: null,
        unpack: null,
        binlog: null,
      },
    };
    const wanted = async (made: object): Promise<unknown> => {
      const identity = { cluster: 'shop', member: 'n1', flavour: 'mariadb', version: '11.8.6', systemId };
      await writeFile(
        join(root, 'understudy.json'),
        JSON.stringify({ ...identity, received: 'applied', end: null, ...made }),
      );
      const config = new ManagedConfig(options, pathsOf(options), programs, new Set(['lower_case_table_names']));
      await config.learnMade();
      return config.wanted();
    };
    assert.deepEqual(await wanted({}), { lower_case_table_names: '1' });
    assert.deepEqual(await wanted({ made: {} }), {}, 'made without it by this version');
    await rm(root, { recursive: true });
  });

  it('a place outside of the data directory, and a named time zone, are refused before anything starts', () => {
    for (const name of [
      'innodb_log_group_home_dir',
      'innodb-undo-directory',
      'aria_log_dir_path',
      'innodb_data_home_dir',
    ]) {
      assert.match(reservedReason(name, 'mariadb') ?? '', /data directory/);
    }
    const catalog = new Set(['default_time_zone']);
    const problems = (value: string) => checkParameters({ default_time_zone: value }, 'it', catalog, 'mysql').problems;
    assert.match(problems('Europe/Berlin').join(), /offset/);
    for (const value of ['+01:00', '-11:30', 'SYSTEM']) assert.deepEqual(problems(value), []);
  });
});

describe('parameters that a server did not start with', () => {
  const trial = async (good: Record<string, string>) => {
    const folder = await mkdtemp(join(tmpdir(), 'trial-'));
    const made = new ParameterTrial(join(folder, 'good'), null);
    await made.proven(good);
    return { made, file: join(folder, 'good'), end: () => rm(folder, { recursive: true }) };
  };

  it('are left out for the values before, until something else is asked for; and that is said', async () => {
    const { made, file, end } = await trial({ a: '1', b: '2' });
    const asked = { a: '9', c: '3' };
    assert.equal(made.blame(asked, asked, 'no memory'), 'other');
    assert.deepEqual(made.allowed(asked), { a: '1', b: '2' });
    assert.match(made.warnings(asked).join(), /a, b, c.*no memory/);
    assert.deepEqual(made.allowed({ ...asked, a: '5' }), { a: '5', c: '3' });
    assert.deepEqual(made.warnings({ a: '5' }), []);
    assert.equal(made.blame({ a: '1', b: '2' }, { b: '2', a: '1' }, 'no memory'), 'same', 'it ran with these');
    const next = new ParameterTrial(file, null);
    await next.load();
    assert(next.isProven({ b: '2', a: '1' }), 'an agent that comes later knows');
    await end();
  });

  it('are left out one by one when the program itself names them', async () => {
    const { made, end } = await trial({});
    made.refuse({ a: '1', b: 'x' }, { b: 'wrong value' });
    assert.deepEqual(made.allowed({ a: '1', b: 'x' }), { a: '1' });
    assert.deepEqual(made.allowed({ a: '1', b: 'y' }), { a: '1', b: 'y' });
    assert.match(made.warnings({ b: 'x' }).join(), /b = x is left out.*wrong value/);
    await end();
  });
});

describe('what a server says when it does not start', () => {
  const damage = [
    '[ERROR] [MY-012224] [InnoDB] Header page consists of zero bytes in datafile: ./mysql.ibd',
    "[ERROR] mariadbd: Aria engine: log control file 'aria_log_control' is smaller than expected: it is corrupt",
    "[Note] InnoDB: innodb_page_size=8192\n[ERROR] mariadbd: Got error 'Bad magic string' when trying to use aria control file './aria_log_control'",
    '[ERROR] InnoDB: Corrupted page [page id: space=0, page number=0] of datafile ./ibdata1 could not be found',
  ];
  const others = [
    '[ERROR] [MY-012681] [InnoDB] Cannot allocate memory for the buffer pool',
    "[ERROR] [MY-010158] [Server] Different lower_case_table_names settings for server ('1') and data dictionary ('0').\n[ERROR] Data Dictionary initialization failed.",
    '[ERROR] InnoDB: Unable to lock ./ibdata1 error: 11',
    "[ERROR] mariadbd: unknown variable 'x=1'",
  ];
  it('is damage of its data, or something that a copy would not mend', () => {
    for (const log of damage) assert.equal(causeOf(log), 'data', log);
    for (const log of others) assert.equal(causeOf(log), 'unknown', log);
    assert.equal(saying(`2027 [Note] x\n2027-01-01 0 ${others[3]}`), "mariadbd: unknown variable 'x=1'");
  });
});
