import { monotonicMs } from '@understudy/base';
/** `GET /metrics` in Prometheus' text format: Patroni's names for what Patroni measures, `understudy_…` for the rest. See docs/metrics.md. */

import { extentOf, isSyncStandby, timelineOf } from '@understudy/core';
import type { Gate } from '../access/gate.ts';
import type { Agent } from '../agent/agent.ts';
import { serverVersionNumber } from './patroni.ts';
import { hopLag, lagBytes, picture, servesNow } from './picture.ts';
import { rpoOf } from './status.ts';

type Labels = Readonly<Record<string, string>>;

class Page {
  readonly #lines: string[] = [];
  readonly #common: Labels;

  constructor(common: Labels) {
    this.#common = common;
  }

  /** Adds a metric; without a value it is left out, as Prometheus wants it. */
  gauge(
    name: string,
    help: string,
    value: number | boolean | null,
    labels: Labels = {},
    kind: 'gauge' | 'counter' = 'gauge',
  ) {
    if (value === null) return;
    const head = `# HELP ${name} ${help}\n# TYPE ${name} ${kind}`;
    if (!this.#lines.includes(head)) this.#lines.push(head);
    const all = Object.entries({ ...this.#common, ...labels });
    this.#lines.push(`${name}{${all.map(([key, each]) => `${key}="${escaped(each)}"`).join(',')}} ${Number(value)}`);
  }

  text(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

type GateCounts = Pick<Gate, 'size' | 'counters'>;

export function metrics(agent: Agent, gate: GateCounts): string {
  const page = new Page({ scope: agent.config.cluster, name: agent.config.member });
  patroniMetrics(page, agent);
  ownMetrics(page, agent);
  gateMetrics(page, gate);
  return page.text();
}

function patroniMetrics(page: Page, agent: Agent): void {
  const engine = agent.latest?.observation.engine ?? null;
  const seen = picture(agent);
  const extra = agent.latest?.report.extra;
  const runs = engine?.kind === 'primary' || engine?.kind === 'replica';
  const isReplica = engine?.kind === 'replica';
  const sync = isReplica && isSyncStandby(seen.record, agent.self);
  const silentMs = agent.link.silentMs;
  const position = engine?.kind === 'primary' || isReplica ? engine.position : null;
  page.gauge('patroni_version', 'Version of the Patroni API that is spoken.', 40_000);
  page.gauge('patroni_postgres_running', '1 if the server runs.', runs);
  page.gauge(
    'patroni_primary',
    '1 if this node is the leader with authority to write.',
    servesNow(agent) === 'primary',
  );
  page.gauge('patroni_replica', '1 if the server is a replica.', isReplica);
  page.gauge('patroni_sync_standby', '1 if acknowledgements of this replica count.', sync);
  page.gauge('patroni_quorum_standby', '1 if acknowledgements of this replica count.', sync);
  page.gauge('patroni_standby_leader', 'Always 0: there are no standby clusters.', 0);
  const location = engine?.kind === 'primary' ? extentOf(engine.position) : 0;
  page.gauge('patroni_xlog_location', 'Position of the log on the leader, 0 elsewhere.', location, {}, 'counter');
  const received = isReplica && engine.position !== null ? extentOf(engine.position) : 0;
  page.gauge('patroni_xlog_received_location', 'Position of the received log on a replica.', received, {}, 'counter');
  const replayed = isReplica ? extentOf(engine.replayed) : 0;
  page.gauge('patroni_xlog_replayed_location', 'Position of the replayed log on a replica.', replayed, {}, 'counter');
  const streams = isReplica && engine.receiver.kind === 'streaming';
  page.gauge('patroni_postgres_streaming', '1 if the replica streams.', streams);
  page.gauge('patroni_postgres_in_archive_recovery', 'Replica that does not stream.', isReplica && !streams);
  page.gauge(
    'patroni_postgres_server_version',
    'Version of the server.',
    serverVersionNumber(extra?.version ?? null) ?? 0,
  );
  page.gauge('patroni_cluster_unlocked', '1 if no leader is recorded.', seen.record === null);
  page.gauge(
    'patroni_postgres_timeline',
    'Timeline of the server.',
    position === null ? 0 : timelineOf(position),
    {},
    'counter',
  );
  const seenAt = silentMs === null ? 0 : Math.floor((Date.now() - silentMs) / 1000);
  page.gauge('patroni_dcs_last_seen', 'When the store was last heard, in seconds since 1970.', seenAt);
  page.gauge('patroni_pending_restart', '1 if settings wait for a restart.', (extra?.pendingRestart.length ?? 0) > 0);
  page.gauge('patroni_is_paused', '1 if the cluster is paused.', seen.content?.paused ?? false);
}

function ownMetrics(page: Page, agent: Agent): void {
  const seen = picture(agent);
  const latest = agent.latest;
  const engine = latest?.observation.engine ?? null;
  const now = monotonicMs();
  const authority = latest?.decision.authority;
  const { counters } = agent;
  page.gauge('understudy_epoch', 'Epoch of the leadership record.', seen.record?.epoch ?? null);
  page.gauge(
    'understudy_unrest',
    'Leaders of late that were replaced and not lost, or that nobody could replicate from.',
    seen.record === null ? null : (seen.record.unrest ?? 0),
  );
  page.gauge(
    'understudy_store_writable',
    '0 if the store refused the last write (no space, no rights); nobody can be elected then.',
    agent.link.refusedWrite === null ? 1 : 0,
  );
  page.gauge('understudy_store_silent_seconds', 'Time since the store was heard.', seconds(agent.link.silentMs));
  page.gauge(
    'understudy_store_current',
    '1 if the view of the store is current.',
    agent.link.view().kind === 'current',
  );
  page.gauge('understudy_session_held', '1 if this agent holds its session.', agent.session.leaseUntil !== null);
  const left = authority?.kind === 'primary' ? seconds(Math.max(0, authority.until - now)) : 0;
  page.gauge('understudy_authority_seconds', 'How long a primary here may go on without its agent.', left);
  page.gauge(
    'understudy_guard_ready',
    '1 if the guard answers.',
    agent.guard === null ? null : agent.guard.state === 'ready',
  );
  const lag = engine?.kind === 'replica' ? agent.lag.lag(engine.replayed, agent.runningMs()) : null;
  page.gauge('understudy_replay_lag_seconds', 'Age of what this replica shows.', lag === null ? null : seconds(lag.ms));
  const behind = engine?.kind === 'replica' ? lagBytes(seen.leaderPosition, engine.replayed) : null;
  page.gauge('understudy_replay_lag_bytes', 'What this replica has not replayed.', behind);
  const { hopLagBytes } = hopLag(seen, agent.self);
  page.gauge('understudy_hop_lag_bytes', 'What this replica has not received from whom it follows.', hopLagBytes);
  for (const [slot, bytes] of Object.entries(latest?.report.extra.retainedBytes ?? {})) {
    page.gauge('understudy_slot_retained_bytes', 'Log that is kept back for a replication slot.', bytes, { slot });
  }
  const required = seen.record?.rule.required ?? null;
  page.gauge('understudy_required_acks', 'Acknowledgements that a commit waits for.', required);
  page.gauge('understudy_ackers', 'Replicas whose acknowledgement counts.', seen.record?.rule.members.length ?? null);
  const kind = rpoOf(seen).kind;
  for (const each of ['zero-proven', 'zero-assumed', 'bounded', 'unknown'] as const) {
    page.gauge('understudy_rpo', 'What would be lost with the leader now; the one that is 1 applies.', kind === each, {
      kind: each,
    });
  }
  for (const [member, view] of seen.views) {
    page.gauge('understudy_peer_fresh', '1 if the peer is heard.', view.kind === 'fresh', { peer: member });
  }
  for (const { use, notAfterWallMs } of agent.certificates.ends) {
    const left = seconds(notAfterWallMs - Date.now());
    page.gauge('understudy_certificate_expiry_seconds', 'Until a certificate in use ends.', left, { use });
  }
  const kept = latest?.details.kept ?? null;
  page.gauge('understudy_kept_bytes', 'Size of what is kept of replaced data.', kept?.bytes ?? null);
  page.gauge('understudy_kept_folders', 'How many folders are kept of replaced data.', kept?.folders ?? null);
  const isHeld = kept === null ? null : kept.held !== null;
  page.gauge('understudy_copies_held', '1 if no further copy is made by itself, as too much is kept.', isHeld);
  page.gauge(
    'understudy_suspects_leader',
    '1 if this member takes the leader for dead.',
    latest !== null && latest.decision.suspects !== null,
  );
  page.gauge('understudy_turns_total', 'Decisions taken.', counters.turns, {}, 'counter');
  page.gauge(
    'understudy_turn_seconds_total',
    'Time spent in turns, commands included.',
    seconds(counters.turnMs),
    {},
    'counter',
  );
  page.gauge('understudy_commands_total', 'Commands carried out.', counters.commands, {}, 'counter');
  page.gauge('understudy_command_failures_total', 'Commands that failed.', counters.failures, {}, 'counter');
  page.gauge('understudy_stalls_total', 'Times in which this process did not run.', counters.stalls, {}, 'counter');
  page.gauge(
    'understudy_copies_total',
    'Copies of this server that were asked for and begun.',
    counters.copies,
    {},
    'counter',
  );
  page.gauge('understudy_stream_subscribers', 'Open event streams.', agent.hub.size);
}

function gateMetrics(page: Page, gate: GateCounts): void {
  const { size, counters: turned } = gate;
  for (const held of ['strangers', 'known'] as const) {
    page.gauge('understudy_api_connections', 'Connections to the API, by who holds them.', size[held], { held });
  }
  for (const how of ['evicted', 'refused', 'throttled'] as const) {
    const text = 'Connections ended to make room or refused, and requests refused, as one address made too many.';
    page.gauge('understudy_api_turned_away_total', text, turned[how], { how }, 'counter');
  }
}

const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);
