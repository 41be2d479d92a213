import { monotonicMs } from '@understudy/base';
import type { Member, MemberId, MemberLogin } from '@understudy/core';
import { type ClusterContext, type LoginsSeen, loginKey } from '@understudy/engine';
import { kill } from './commands/readers.ts';
import type { Dialect } from './dialect/dialect.ts';
import { serverErrorOf } from './errors.ts';
import type { Instance } from './instance.ts';
import {
  accountOf,
  accounts,
  ackAccount,
  anywhere,
  isAcknowledger,
  knownAs,
  loginOfAccount,
  ownAccount,
  quoteLiteral,
} from './names.ts';
import { readChannel } from './observe/channel.ts';
import type { Session } from './sql/session.ts';
import { matches, verifierOf } from './sql/verifier.ts';

const queryTimeoutMs = 4000;

interface WantedAccount {
  readonly user: string;
  /** Of a member's own login only what a server stores of its password is known. */
  readonly login: { readonly password: string } | { readonly verifier: string };
  readonly rights: string;
  /** An acknowledger's account is locked until a rule names its member. */
  readonly lock: 'locked' | 'open';
  /** What its owner must show besides the password, where there is TLS: encryption, a certificate of a member, or that of one member. */
  readonly shows: { readonly kind: 'encryption' | 'certificate' } | { readonly kind: 'name'; readonly of: MemberId };
}

type Parts = Pick<Instance, 'options' | 'dialect' | 'config' | 'programs'>;

/** The accounts that the database of a cluster with these members has, besides the agent's own. */
function wantedAccounts({ options, dialect, config }: Parts, members: Iterable<MemberId>) {
  const { secrets } = options;
  const certificate = { kind: 'certificate' } as const;
  const wanted: WantedAccount[] = [
    {
      user: accounts.copy,
      login: { password: secrets.replication },
      rights: 'REPLICATION SLAVE',
      lock: 'open',
      shows: certificate,
    },
    {
      user: accounts.clone,
      login: { password: secrets.clone },
      rights: dialect.cloneRights,
      lock: 'open',
      shows: certificate,
    },
    {
      user: accounts.monitor,
      login: { password: secrets.monitor },
      rights: 'PROCESS, REPLICATION CLIENT',
      lock: 'open',
      shows: { kind: 'encryption' },
    },
  ];
  for (const member of members) {
    const shows = config.identity === 'name' ? ({ kind: 'name', of: member } as const) : certificate;
    const acknowledger = { rights: 'REPLICATION SLAVE', lock: 'locked', shows } as const;
    const logins = config.loginsOf(member);
    for (const { slot, verifier } of logins?.own ?? []) {
      wanted.push({ user: ownAccount(member, slot), login: { verifier }, ...acknowledger });
    }
    if (logins?.shared !== 'left') {
      wanted.push({ user: ackAccount(member), login: { password: secrets.replication }, ...acknowledger });
    }
  }
  return wanted;
}

/** Those of an account that `members` acknowledge with. */
const namesOf = (members: readonly MemberId[]): ReadonlySet<string> => new Set(members.map(ackAccount));

/** What a server has of an account of ours. */
export interface StoredAccount {
  /** What it stores of the password. */
  readonly verifier: string;
  /** Only of acknowledgers it is looked at. */
  readonly lock: 'locked' | 'open';
  readonly mayReplicate: 'yes' | 'no';
}

type Stored = ReadonlyMap<string, StoredAccount>;

/** The accounts of ours that exist. */
async function existing(session: Session, dialect: Dialect): Promise<Stored> {
  const rows = await session.query(
    'SELECT User AS user, authentication_string AS verifier FROM mysql.user WHERE User LIKE ? AND Host = ?',
    ['us\\_%', anywhere],
    queryTimeoutMs,
  );
  const granted = await session.query(
    `SELECT grantee AS name FROM information_schema.user_privileges
    WHERE privilege_type = 'REPLICATION SLAVE' AND grantee LIKE '\\'us\\_%'`,
    [],
    queryTimeoutMs,
  );
  const replicating = new Set(granted.map(({ name }) => name));
  const locked = await lockedAccounts(session, dialect);
  return new Map(
    rows.map(({ user, verifier }) => {
      const name = user ?? '';
      const mayReplicate = replicating.has(accountOf(name)) ? 'yes' : 'no';
      return [name, { verifier: verifier ?? '', lock: locked.has(name) ? 'locked' : 'open', mayReplicate }];
    }),
  );
}

export type Fault = 'verifier' | 'right' | 'lock';

/**
 * What keeps a member that has registered `login` from replicating as an account: another password, a right that a statement which
 * failed has not given, or a lock although the member counts.
 */
export function faultsOf(
  stored: StoredAccount,
  login: WantedAccount['login'] | Pick<MemberLogin, 'verifier'>,
  counts: 'yes' | 'no',
): readonly Fault[] {
  const faults: Fault[] = [];
  if ('verifier' in login && stored.verifier !== login.verifier) faults.push('verifier');
  if (stored.mayReplicate === 'no') faults.push('right');
  if (counts === 'yes' && stored.lock === 'locked') faults.push('lock');
  return faults;
}

/**
 * Makes on a leader the accounts that are missing: members join at any time. Gives members' own what their members have registered, and
 * takes away what these do not use any more.
 *
 * @param counted who acknowledges by the rule in force; null: that is not known
 */
export async function keepAccounts(
  instance: Parts,
  session: Session,
  context: Pick<ClusterContext, 'members'>,
  counted: readonly MemberId[] | null = null,
): Promise<void> {
  const there = await existing(session, instance.dialect);
  const wanted = wantedAccounts(instance, context.members.keys());
  const open = namesOf(counted ?? []);
  const wrong = wanted.flatMap((account) => {
    const stored = isReplication(account.user) ? there.get(account.user) : undefined;
    const counts = open.has(knownAs(account.user)) ? 'yes' : 'no';
    const faults = stored === undefined ? [] : faultsOf(stored, account.login, counts);
    return faults.length === 0 ? [] : [{ account, faults }];
  });
  const missing = wanted.filter(({ user }) => !there.has(user));
  const surplus = surplusOf(instance, context.members.values(), there);
  if (missing.length + wrong.length + surplus.length > 0) {
    await unlogged(session, async () => {
      for (const account of missing) {
        const lock = open.has(knownAs(account.user)) ? 'open' : account.lock;
        await make(session, instance, { ...account, lock });
      }
      for (const { account, faults } of wrong) await repair(session, instance, account, faults);
      for (const user of surplus) await takeAway(session, user);
    });
  }
  await closeShared(instance, session, context.members.values());
}

/** So long a member must have left a login out before its account goes: a store that was put back may say for a moment what was once true. */
const droppedAfterMs = 3000;
/** By account: since when its member has not registered it any more. */
const leftOut = new WeakMap<Parts['options'], Map<string, number>>();

function surplusOf({ options }: Parts, members: Iterable<Member>, there: Stored): string[] {
  const since = leftOut.get(options) ?? new Map<string, number>();
  leftOut.set(options, since);
  const nowMs = monotonicMs();
  const surplus: string[] = [];
  for (const { id, logins } of members) {
    for (const slot of ['a', 'b'] as const) {
      const user = ownAccount(id, slot);
      // Of a member whose agent has become one of an older version nothing is known.
      const isLeftOut = logins !== undefined && there.has(user) && !logins.own.some((login) => login.slot === slot);
      if (!isLeftOut) since.delete(user);
      else if (nowMs - (since.get(user) ?? nowMs) >= droppedAfterMs) surplus.push(user);
      else since.set(user, since.get(user) ?? nowMs);
    }
  }
  return surplus;
}

/** An account of an acknowledger that its member has left for one of its own lets nobody in. */
async function closeShared(instance: Parts, session: Session, members: Iterable<Member>): Promise<void> {
  const left = [...members].filter(({ logins }) => logins?.shared === 'left').map(({ id }) => ackAccount(id));
  if (left.length === 0) return;
  const there = await existing(session, instance.dialect);
  const open = left.filter((user) => there.get(user)?.lock === 'open');
  if (open.length === 0) return;
  await unlogged(session, async () => {
    for (const user of open) {
      await session.query(`ALTER USER ${accountOf(user)} ACCOUNT LOCK`, [], queryTimeoutMs);
      await endSessions(session, user);
    }
  });
}

async function repair(
  session: Session,
  instance: Parts,
  account: WantedAccount,
  faults: readonly Fault[],
): Promise<void> {
  const name = accountOf(account.user);
  if (faults.includes('verifier')) await renew(session, instance, account);
  if (faults.includes('right')) {
    await session.query(`GRANT ${account.rights} ON *.* TO ${name}`, [], queryTimeoutMs);
    await limitRights(instance, session, [account.user]);
  }
  if (faults.includes('lock')) await session.query(`ALTER USER ${name} ACCOUNT UNLOCK`, [], queryTimeoutMs);
}

async function renew(session: Session, instance: Parts, { user, login }: WantedAccount): Promise<void> {
  const statement = `ALTER USER ${accountOf(user)} ${identified(instance, login)}`;
  await withoutChecks(instance, session, () => session.query(statement, [], queryTimeoutMs));
  // Whoever logged in with what was there before.
  await endSessions(session, user);
}

async function takeAway(session: Session, user: string): Promise<void> {
  // Locked before its sessions end, so that none begins in between.
  await session.query(`ALTER USER ${accountOf(user)} ACCOUNT LOCK`, [], queryTimeoutMs);
  await endSessions(session, user);
  await session.query(`DROP USER IF EXISTS ${accountOf(user)}`, [], queryTimeoutMs);
}

async function endSessions(session: Session, user: string): Promise<void> {
  const query = 'SELECT id AS id FROM information_schema.processlist WHERE user = ?';
  for (const { id } of await session.query(query, [user], queryTimeoutMs)) await kill(session, id ?? '');
}

const identified = ({ dialect, programs }: Parts, login: WantedAccount['login']): string => {
  const stored = 'verifier' in login ? login.verifier : verifierOf(programs.flavour, login.password);
  return `${dialect.stored} ${quoteLiteral(stored)}`;
};

/** The server does not take what it cannot check: it says so, or only that the statement failed. */
const uncheckable = new Set([1290, 1396]);

/**
 * A plugin of MariaDB that checks passwords refuses what a server stores of one. The passwords of our accounts are made by programs: the check
 * is off for the moment of the statement.
 */
async function withoutChecks(
  { programs }: Pick<Instance, 'programs'>,
  session: Session,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (programs.flavour !== 'mariadb' || !uncheckable.has(serverErrorOf(error) ?? 0)) throw error;
    const [row] = await session.query('SELECT @@global.strict_password_validation AS strict', [], queryTimeoutMs);
    if (row?.strict !== '1') throw error;
    await session.query('SET GLOBAL strict_password_validation = OFF', [], queryTimeoutMs);
    try {
      await work();
    } finally {
      await session.query('SET GLOBAL strict_password_validation = ON', [], queryTimeoutMs);
    }
  }
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
  const login = `${identified(instance, account.login)} ${requirement(instance, account)}`;
  const lock = account.lock === 'locked' ? 'LOCK' : 'UNLOCK';
  const statement = `CREATE USER IF NOT EXISTS ${name} ${login} ${instance.dialect.unagedPassword} ACCOUNT ${lock}`;
  await withoutChecks(instance, session, () => session.query(statement, [], queryTimeoutMs));
  await session.query(`GRANT ${account.rights} ON *.* TO ${name}`, [], queryTimeoutMs);
  await limitRights(instance, session, [account.user]);
}

/** Accounts that only receive the log; the others ask and copy, and try again where they cannot log in. */
const isReplication = (user: string): boolean => user === accounts.copy || isAcknowledger(user);

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
  const users = [...(await existing(session, instance.dialect)).keys()].filter(
    (user) => user === accounts.clone || user === accounts.monitor || isReplication(user),
  );
  await unlogged(session, () => limitRights(instance, session, users));
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
 *
 * @param counted as for `keepAccounts`
 */
export async function renewAccounts(
  instance: Parts,
  session: Session,
  context: Pick<ClusterContext, 'members'>,
  counted: readonly MemberId[] | null,
): Promise<void> {
  await keepAccounts(instance, session, context, counted);
  const wanted = wantedAccounts(instance, context.members.keys());
  const there = await existing(session, instance.dialect);
  const other = wanted.filter(
    ({ user, login }) =>
      'password' in login && !matches(instance.programs.flavour, there.get(user)?.verifier ?? '', login.password),
  );
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
    for (const account of other) await renew(session, instance, account);
  });
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
  const all = await existing(session, instance.dialect);
  const wanted = wantedAccounts(instance, members).filter(({ user }) => isAcknowledger(user));
  const open = new Set(wanted.map(({ user }) => user));
  await unlogged(session, async () => {
    if (change === 'lock') {
      const surplus = [...all].filter(([user, { lock }]) => isAcknowledger(user) && !open.has(user) && lock === 'open');
      for (const [user] of surplus)
        await session.query(`ALTER USER ${accountOf(user)} ACCOUNT LOCK`, [], queryTimeoutMs);
      return;
    }
    for (const account of wanted) {
      const stored = all.get(account.user);
      if (stored === undefined) await make(session, instance, { ...account, lock: 'open' });
      else await repair(session, instance, account, faultsOf(stored, account.login, 'yes'));
    }
    await limitRights(instance, session, [...open]);
  });
}

/** The acknowledgers' accounts that nobody can log in with. */
export async function lockedAccounts(
  session: Session,
  { lockedAccounts: query }: Dialect,
): Promise<ReadonlySet<string>> {
  const rows = await session.query(query, [], queryTimeoutMs);
  return new Set(rows.map(({ user }) => user ?? ''));
}

/**
 * What this server takes of what members have registered, and with what it receives itself.
 *
 * @param counted as for `keepAccounts`
 */
export async function lookAtLogins(
  { dialect }: Pick<Instance, 'dialect'>,
  session: Session,
  { self, members }: Pick<ClusterContext, 'self' | 'members'>,
  counted: readonly MemberId[] | null,
): Promise<LoginsSeen> {
  const there = await existing(session, dialect);
  const isTaken = (member: MemberId, login: MemberLogin): boolean => {
    const stored = there.get(ownAccount(member, login.slot));
    const counts = counted?.includes(member) === true ? 'yes' : 'no';
    return stored !== undefined && faultsOf(stored, login, counts).length === 0;
  };
  const accepted = [...members.values()].flatMap(({ id, logins }) =>
    (logins?.own ?? []).filter((login) => isTaken(id, login)).map((login) => loginKey(id, login.id)),
  );
  const channel = await readChannel(session, dialect, queryTimeoutMs);
  if (channel === null || channel.receiver !== 'running') return { accepted, streamsAs: null };
  return { accepted, streamsAs: loginOfAccount(self, channel.user) ?? 'other' };
}
