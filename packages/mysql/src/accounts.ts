import type { MemberId } from '@understudy/core';
import { type ClusterContext, EngineError } from '@understudy/engine';
import type { Dialect } from './dialect/dialect.ts';
import { reasonOf, serverErrorOf } from './errors.ts';
import type { Instance } from './instance.ts';
import { accountOf, accounts, ackAccount, ackPrefix, anywhere, quoteLiteral } from './names.ts';
import type { Session } from './sql/session.ts';

const queryTimeoutMs = 4000;

interface WantedAccount {
  readonly user: string;
  readonly password: string;
  readonly rights: string;
  /** An acknowledger's account is locked until a rule names its member. */
  readonly lock: 'locked' | 'open';
  /** What its owner must show besides the password, where there is TLS: encryption, a certificate of a member, or that of one member. */
  readonly shows: { readonly kind: 'encryption' | 'certificate' } | { readonly kind: 'name'; readonly of: MemberId };
}

type Parts = Pick<Instance, 'options' | 'dialect' | 'config'>;

/** The accounts that the database of a cluster with these members has, besides the agent's own. */
function wantedAccounts({ options, dialect, config }: Parts, members: Iterable<MemberId>) {
  const { secrets } = options;
  const certificate = { kind: 'certificate' } as const;
  const wanted: WantedAccount[] = [
    {
      user: accounts.copy,
      password: secrets.replication,
      rights: 'REPLICATION SLAVE',
      lock: 'open',
      shows: certificate,
    },
    { user: accounts.clone, password: secrets.clone, rights: dialect.cloneRights, lock: 'open', shows: certificate },
    {
      user: accounts.monitor,
      password: secrets.monitor,
      rights: 'PROCESS, REPLICATION CLIENT',
      lock: 'open',
      shows: { kind: 'encryption' },
    },
  ];
  for (const member of members) {
    wanted.push({
      user: ackAccount(member),
      password: secrets.replication,
      rights: 'REPLICATION SLAVE',
      lock: 'locked',
      shows: config.identity === 'name' ? { kind: 'name', of: member } : certificate,
    });
  }
  return wanted;
}

/** Names of the accounts of ours that exist. */
async function existing(session: Session): Promise<ReadonlySet<string>> {
  const rows = await session.query(
    'SELECT User AS user FROM mysql.user WHERE User LIKE ? AND Host = ?',
    ['us\\_%', anywhere],
    queryTimeoutMs,
  );
  return new Set(rows.map(({ user }) => user ?? ''));
}

/** Makes on a leader the accounts that are missing. Members join at any time. */
export async function keepAccounts(
  instance: Parts,
  session: Session,
  context: Pick<ClusterContext, 'members'>,
): Promise<void> {
  const there = await existing(session);
  const missing = wantedAccounts(instance, context.members.keys()).filter(({ user }) => !there.has(user));
  if (missing.length === 0) return;
  await unlogged(session, async () => {
    for (const account of missing) await make(session, instance, account);
  });
}

/**
 * Runs statements about accounts for this server alone. A logged one would wait for an acknowledgement, and MySQL lets nobody log in
 * meanwhile, not even the replica that should send it.
 */
async function unlogged(session: Session, work: () => Promise<void>): Promise<void> {
  await session.query('SET SESSION sql_log_bin = 0', [], queryTimeoutMs);
  try {
    await work();
  } finally {
    await session.query('SET SESSION sql_log_bin = 1', [], queryTimeoutMs);
  }
}

async function make(session: Session, instance: Parts, account: WantedAccount): Promise<void> {
  const name = accountOf(account.user);
  const login = `IDENTIFIED BY ${quoteLiteral(account.password)} ${requirement(instance, account)}`;
  const lock = account.lock === 'locked' ? 'LOCK' : 'UNLOCK';
  const statement = `CREATE USER IF NOT EXISTS ${name} ${login} ${instance.dialect.unagedPassword} ACCOUNT ${lock}`;
  await session.query(statement, [], queryTimeoutMs).catch((error: unknown) => explain(session, error, account.user));
  await session.query(`GRANT ${account.rights} ON *.* TO ${name}`, [], queryTimeoutMs);
  await limitRights(instance, session, [account.user]);
}

/** Accounts that only receive the log; the others ask and copy, and try again where they cannot log in. */
const isReplication = (user: string): boolean => user === accounts.copy || user.startsWith(ackPrefix);

/**
 * Gives our accounts what they have besides: those of replication what lets them in whatever users set for all connections, where that is all
 * that it gives. Takes it from all others of ours, who got it from an earlier version.
 */
async function limitRights(
  { dialect: { admittedRight, ownRights, unagedPassword } }: Pick<Instance, 'dialect'>,
  session: Session,
  users: readonly string[],
): Promise<void> {
  const all = [admittedRight.name, ...ownRights];
  const query = `SELECT grantee AS name, privilege_type AS held FROM information_schema.user_privileges
    WHERE privilege_type IN (${all.map(() => '?').join(', ')}) AND grantee LIKE '\\'us\\_%'`;
  const rows = await session.query(query, all, queryTimeoutMs);
  const has = (user: string, right: string): boolean =>
    rows.some(({ name, held }) => held === right && name === accountOf(user));
  const may = (user: string, right: string): boolean =>
    right !== admittedRight.name || (admittedRight.of === 'replication' && isReplication(user));
  const listOf = (some: readonly string[]): string => some.map(accountOf).join(', ');
  for (const right of all) {
    const missing = users.filter((user) => may(user, right) && !has(user, right));
    if (missing.length > 0) await session.query(`GRANT ${right} ON *.* TO ${listOf(missing)}`, [], queryTimeoutMs);
  }
  const surplus = users.filter((user) => !may(user, admittedRight.name) && has(user, admittedRight.name));
  if (surplus.length > 0) {
    // What the right kept off them on MariaDB, a limit of their own does.
    await session.query(`ALTER USER ${listOf(surplus)} ${unagedPassword}`, [], queryTimeoutMs);
    await session.query(`REVOKE ${admittedRight.name} ON *.* FROM ${listOf(surplus)}`, [], queryTimeoutMs);
  }
}

/** The same for all accounts that there are; for a leader that an agent of another version opened. */
export async function limitAllRights(instance: Pick<Instance, 'dialect'>, session: Session): Promise<void> {
  const users = [...(await existing(session))].filter(
    (user) => user === accounts.clone || user === accounts.monitor || isReplication(user),
  );
  await unlogged(session, () => limitRights(instance, session, users));
}

/** The plugin or component that checks passwords does not want this one. */
const passwordRefused = 1819;

/** Makes a refused password's error of a failed statement about `user`. MariaDB only says that the statement failed, and why beside it. */
async function explain(session: Session, error: unknown, user: string): Promise<never> {
  const number = serverErrorOf(error);
  const notes = number === undefined ? [] : await session.query('SHOW WARNINGS', [], queryTimeoutMs).catch(() => []);
  const note = notes.find(({ Code }) => Number(Code) === passwordRefused);
  if (number !== passwordRefused && note === undefined) throw error;
  const text = `The server's own check of passwords refuses the one of ${user} (${note?.Message ?? reasonOf(error)}).`;
  const next = 'Put one into the secrets file of every member that passes it, or loosen the rule of that plugin.';
  throw new EngineError('ENGINE_DATA_REFUSED', `${text} ${next}`, 'safe', { cause: error });
}

function requirement({ options }: Parts, { shows }: WantedAccount): string {
  if (options.tls === null) return 'REQUIRE NONE';
  switch (shows.kind) {
    case 'encryption':
      return 'REQUIRE SSL';
    case 'certificate':
      return 'REQUIRE X509';
    case 'name':
      return `REQUIRE SUBJECT ${quoteLiteral(`/CN=${shows.of}`)}`;
  }
}

/**
 * Makes the accounts that are missing, and gives all of ours the present passwords. One that has it already keeps it where that can be seen:
 * MariaDB's plugin against reuse refuses the same one again.
 */
export async function renewAccounts(
  instance: Parts,
  session: Session,
  context: Pick<ClusterContext, 'members'>,
): Promise<void> {
  await keepAccounts(instance, session, context);
  const wanted = wantedAccounts(instance, context.members.keys());
  const list: string[] = [];
  for (const { user, password } of wanted) {
    const login = (await hasPassword(instance, session, user, password))
      ? ''
      : ` IDENTIFIED BY ${quoteLiteral(password)}`;
    list.push(`${accountOf(user)}${login}`);
  }
  await unlogged(session, async () => {
    const { unagedPassword } = instance.dialect;
    // One statement has one requirement for all that it names.
    for (const [required, accounts] of Map.groupBy(wanted, (account) => requirement(instance, account))) {
      const unaged = `ALTER USER ${accounts.map(({ user }) => accountOf(user)).join(', ')} ${required} ${unagedPassword}`;
      await session.query(unaged, [], queryTimeoutMs);
    }
    await limitRights(
      instance,
      session,
      wanted.map(({ user }) => user),
    );
    const statement = `ALTER USER ${list.join(', ')}`;
    const users = wanted.map(({ user }) => user).join(', ');
    await session.query(statement, [], queryTimeoutMs).catch((error: unknown) => explain(session, error, users));
  });
}

async function hasPassword(
  { dialect }: Pick<Instance, 'dialect'>,
  session: Session,
  user: string,
  password: string,
): Promise<boolean> {
  if (dialect.hasPassword === null) return false;
  return (await session.query(dialect.hasPassword, [user, anywhere, password], queryTimeoutMs)).length > 0;
}

/**
 * Locks and unlocks acknowledgers' accounts on this server alone: those of `members` are open, all others are locked. An account that a
 * rule needs and that is missing is made.
 */
export async function setAcknowledgers(
  instance: Parts,
  session: Session,
  members: readonly MemberId[],
  change: 'lock' | 'unlock',
): Promise<void> {
  const open = new Set(members.map(ackAccount));
  const there = await ackAccounts(session);
  const locked = await lockedAccounts(session, instance.dialect);
  await unlogged(session, async () => {
    if (change === 'lock') {
      const surplus = [...there].filter((user) => !open.has(user) && !locked.has(user));
      for (const user of surplus) await session.query(`ALTER USER ${accountOf(user)} ACCOUNT LOCK`, [], queryTimeoutMs);
      return;
    }
    for (const account of wantedAccounts(instance, members).filter(({ user }) => open.has(user))) {
      if (!there.has(account.user)) await make(session, instance, { ...account, lock: 'open' });
      else if (locked.has(account.user)) {
        await session.query(`ALTER USER ${accountOf(account.user)} ACCOUNT UNLOCK`, [], queryTimeoutMs);
      }
    }
    await limitRights(instance, session, [...open]);
  });
}

async function ackAccounts(session: Session): Promise<ReadonlySet<string>> {
  return new Set([...(await existing(session))].filter((user) => user.startsWith(ackPrefix)));
}

/** The acknowledgers' accounts that nobody can log in with. */
export async function lockedAccounts(
  session: Session,
  { lockedAccounts: query }: Dialect,
): Promise<ReadonlySet<string>> {
  const rows = await session.query(query, [`${ackPrefix.replaceAll('_', '\\_')}%`], queryTimeoutMs);
  return new Set(rows.map(({ user }) => user ?? ''));
}
