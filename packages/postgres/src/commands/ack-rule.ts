import { pollUntil } from '@understudy/base';
import { type AckRule, formatLsn, type Position, sameRule } from '@understudy/core';
import { EngineError } from '@understudy/engine';
import { positionOf } from '../disk/wal.ts';
import type { Instance } from '../instance.ts';
import { blockingStandbyNames, formatStandbyNames } from '../names.ts';
import { forgetArmed, rememberArmed } from '../observe/armed.ts';
import { identify } from '../observe/query.ts';
import { foreignText, isForeignAcker, sendersQuery } from '../observe/senders.ts';
import { missing } from '../sql/local.ts';
import type { PgSession } from '../sql/session.ts';
import { writeAndFlush } from '../sql/write.ts';
import { reloadOrThrow } from './reload.ts';

const queryTimeoutMs = 1000;
const proofTimeoutMs = 2000;

/**
 * Makes the running primary count acknowledgements by `rule`, and proves that every process of it does.
 *
 * @throws EngineError `ENGINE_RULE_UNPROVEN`: the rule in force is then unknown (the stricter of old and new must be assumed).
 */
export async function setAckRule(instance: Instance, rule: AckRule): Promise<void> {
  const running = instance.postmaster.running;
  const state = await instance.observe();
  if (running === null || state.kind !== 'primary') {
    throw new EngineError('ENGINE_RULE_UNPROVEN', `The server is not a running primary (it is ${state.kind}).`);
  }
  if (state.acks.running !== null && sameRule(state.acks.running, rule)) return;
  await endForeignAckers(instance, formatStandbyNames(instance.options.cluster, rule));
  if (instance.acks.provenRule !== null && (await isOnlyWaiting(instance, rule))) return;
  instance.acks.forget();
  const facts = instance.facts.of(running.pid);
  if (rule.required > 0 && facts.waiting === 'unknown') {
    await armWaiting(instance, () => install(instance, rule));
    await rememberArmed(instance, running);
  } else {
    if (rule.required === 0) await forgetArmed(instance, running);
    await install(instance, rule);
  }
  await proveRule(instance, rule);
}

/**
 * Ends the connections that are no member's and could acknowledge. They are told to go, and gone when the server does not list them.
 *
 * @throws EngineError `ENGINE_RULE_UNPROVEN` when one stays.
 */
async function endForeignAckers(instance: Instance, listed: string): Promise<void> {
  const monitor = await instance.sql.monitor(queryTimeoutMs);
  const { membership } = instance.config;
  const foreign = async () => {
    const { names = '' } = await monitor.row(
      "select current_setting('synchronous_standby_names') as names",
      queryTimeoutMs,
    );
    const senders = await monitor.rows(sendersQuery, queryTimeoutMs);
    return senders.filter((row) => isForeignAcker(membership, row, `${listed} ${names}`));
  };
  const ended = await pollUntil(
    async () => {
      const there = await foreign();
      if (there.length > 0) instance.notices.add(foreignText(there));
      for (const { pid } of there) await monitor.rows(`select pg_terminate_backend(${pid})`, queryTimeoutMs);
      return there.length === 0 ? true : null;
    },
    { everyMs: 10, timeoutMs: proofTimeoutMs },
  );
  if (ended === null) throw new EngineError('ENGINE_RULE_UNPROVEN', foreignText(await foreign()));
}

/** Whether the rule is in force already, and only what somebody else let through has still to reach the members. */
async function isOnlyWaiting(instance: Instance, rule: AckRule): Promise<boolean> {
  const { provenRule } = instance.acks;
  const wanted = formatStandbyNames(instance.options.cluster, rule);
  if (provenRule === null || !sameRule(provenRule, rule)) return false;
  const running = await instance.sql.freshSettings(['synchronous_standby_names'], queryTimeoutMs);
  return running.synchronous_standby_names === wanted;
}

/** Writes the rule into the configuration and proves that a new process has it. */
export async function install(instance: Instance, rule: AckRule): Promise<void> {
  const standbyNames = formatStandbyNames(instance.options.cluster, rule);
  await instance.config.write({ upstream: null, standbyNames });
  await reloadOrThrow(instance, { synchronous_standby_names: standbyNames }, 'ENGINE_RULE_UNPROVEN');
}

/**
 * Goes from "commits do not wait" to a rule. Whether they wait is a flag in shared memory that only the checkpointer sets, when
 * it gets round to reloading; nothing shows the flag. So a list that nobody can satisfy is installed first, and a commit of our
 * own is watched until it hangs: then the flag is set. With the real rule it goes on as soon as the first replicas confirm.
 */
async function armWaiting(instance: Instance, installRule: () => Promise<void>): Promise<void> {
  await instance.config.write({ upstream: null, standbyNames: blockingStandbyNames });
  await reloadOrThrow(instance, { synchronous_standby_names: blockingStandbyNames }, 'ENGINE_RULE_UNPROVEN');
  const witness = await pollUntil(() => startWitness(instance), { everyMs: 2, timeoutMs: proofTimeoutMs });
  if (witness === null) {
    const text =
      'Commits still do not wait for replicas 2 s after the server was told to; its checkpointer does not reload.';
    throw new EngineError('ENGINE_RULE_UNPROVEN', text);
  }
  try {
    await installRule();
  } finally {
    // Ended by the server: cutting the connection would leave a process that waits for ever.
    const monitor = await instance.sql.monitor(queryTimeoutMs);
    await monitor.rows(`select pg_terminate_backend(${witness.pid})`, queryTimeoutMs);
    witness.session.destroy();
  }
}

/** Starts a commit that must wait. Returns its process when it is seen waiting, null when it came through. */
async function startWitness(instance: Instance): Promise<{ pid: number; session: PgSession } | null> {
  const session = await instance.sql.open(queryTimeoutMs);
  const pid = Number((await session.row('select pg_backend_pid() as pid', queryTimeoutMs)).pid);
  let outcome: 'running' | 'committed' = 'running';
  const sql =
    "begin; set local synchronous_commit = on; select pg_logical_emit_message(true, 'understudy', 'witness'); commit";
  const commit = session.rows(sql, proofTimeoutMs * 4).finally(() => {
    outcome = 'committed';
  });
  commit.catch(() => undefined);
  const waits = async (): Promise<'waits' | 'committed' | null> => {
    if (outcome === 'committed') return 'committed';
    const monitor = await instance.sql.monitor(queryTimeoutMs);
    const row = await monitor.row(`select wait_event from pg_stat_activity where pid = ${pid}`, queryTimeoutMs);
    return row.wait_event === 'SyncRep' ? 'waits' : null;
  };
  const seen = await pollUntil(waits, { everyMs: 2, timeoutMs: proofTimeoutMs });
  if (seen === 'waits') return { pid, session };
  session.destroy();
  return null;
}

/**
 * Proves that every sender of the log has loaded the rule, then writes the barrier.
 *
 * A sender looks at its settings before it reads a reply, at the top of each round. So one that is seen asleep at the end of a
 * round after it was told to reload, or that has sent something since, counts replies by the new rule from then on; one that
 * started later, or has not begun to send, has the rule from the beginning.
 */
export async function proveRule(instance: Instance, rule: AckRule): Promise<void> {
  const running = instance.postmaster.running;
  const monitor = await instance.sql.monitor(queryTimeoutMs);
  const unproven = new Map((await senders(monitor)).filter((sender) => !sender.asleep).map((s) => [s.pid, s.sent]));
  const proven = await pollUntil(
    async () => {
      if (unproven.size === 0) return true;
      const now = new Map((await senders(monitor)).map((sender) => [sender.pid, sender]));
      for (const [pid, sent] of unproven) {
        const sender = now.get(pid);
        if (sender === undefined || sender.asleep || sender.sent !== sent) unproven.delete(pid);
      }
      return unproven.size === 0 ? true : null;
    },
    { everyMs: 3, timeoutMs: proofTimeoutMs },
  );
  if (proven === null || running === null) {
    const text = `The log senders ${[...unproven.keys()].join(', ')} did not show within 2 s that they have loaded the rule.`;
    throw new EngineError('ENGINE_RULE_UNPROVEN', text);
  }
  instance.acks.prove(running.pid, rule, await writeBarrier(instance, monitor));
}

async function writeBarrier(instance: Instance, monitor: PgSession): Promise<Position> {
  const at = await writeAndFlush(monitor, instance.expected.major, 'barrier', queryTimeoutMs);
  const { timeline } = await identify(monitor, queryTimeoutMs);
  const barrier = await positionOf(instance.options.dataDir, timeline, at);
  if (barrier === null) throw missing(`history of timeline ${timeline} at ${formatLsn(at)}`);
  return barrier;
}

interface Sender {
  readonly pid: number;
  readonly sent: string;
  readonly asleep: boolean;
}

async function senders(monitor: PgSession): Promise<readonly Sender[]> {
  const rows = await monitor.rows(
    `select a.pid, a.wait_event, r.sent_lsn from pg_stat_activity a join pg_stat_replication r using (pid)
     where a.pid <> pg_backend_pid() and r.state not in ('backup', 'startup')`,
    queryTimeoutMs,
  );
  return rows.map((row) => ({
    pid: Number(row.pid),
    sent: row.sent_lsn ?? '',
    asleep: row.wait_event === 'WalSenderMain',
  }));
}
