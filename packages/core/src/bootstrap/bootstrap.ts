import { type Action, act, type Context, wait } from '../context.ts';
import { promotionDeadline } from '../patience.ts';
import { timelineOf } from '../position/position.ts';
import { ALONE } from '../values/ack-rule.ts';
import { epoch } from '../values/brand.ts';
import { KEEP_END } from '../values/command.ts';
import type { LeadershipRecord } from '../values/record.ts';

/**
 * A cluster that has no leader recorded yet: one member claims the right to initialise, makes an empty database, and founds the
 * cluster under its system identifier. A node that has data already never founds one by itself: an emptied store must not ctx an
 * old copy into a new truth (C9).
 */
export function bootstrap(ctx: Context): Action {
  const { obs, content } = ctx;
  if (obs.store.kind !== 'current') return wait('store-silent', 'The store does not answer.');
  if (obs.job !== null) return wait('busy', `The server is busy: ${obs.job.kind}.`);
  const { identity } = content;
  if (identity === null) return claim(ctx);
  if (identity.value.state === 'founded') {
    return wait(
      'record-missing',
      'The store knows this cluster but holds no leadership record: it may have been restored from an old copy. Nothing is started for writes. See docs/store.md.',
    );
  }
  if (identity.value.by === obs.self) return initialise(ctx, identity.value.incarnation === obs.incarnation);
  if (content.sessions.has(identity.value.by))
    return wait('bootstrap-elsewhere', `${identity.value.by} is initialising the cluster.`);
  return takeOverClaim(ctx);
}

function claim(ctx: Context): Action {
  const { obs } = ctx;
  if (obs.engine.kind !== 'absent' && obs.engine.kind !== 'incomplete') {
    return wait(
      'store-empty',
      'The store knows no cluster, but this node has data. Check the store address and the cluster name; an emptied store must be restored first. See docs/store.md.',
    );
  }
  const holder = [...obs.peers.values()].find((peer) => peer.kind === 'fresh' && 'systemId' in peer.live.engine);
  if (holder?.kind === 'fresh') {
    return wait(
      'store-empty',
      `The store knows no cluster, but ${holder.live.member} has data: the store was emptied. It must be restored; see docs/store.md.`,
    );
  }
  if (obs.tags.nofailover)
    return wait('bootstrap-elsewhere', 'This member is tagged nofailover: another one must initialise the cluster.');
  return act('bootstrap-claimed', 'The cluster is empty: this node initialises it.', [
    {
      kind: 'commit',
      purpose: 'claim bootstrap',
      expect: [
        { key: 'identity', is: 'absent' },
        { key: 'record', is: 'absent' },
      ],
      put: [
        {
          key: 'identity',
          value: {
            state: 'claimed',
            by: obs.self,
            incarnation: obs.incarnation,
            systemId: null,
            engine: obs.engineName,
          },
        },
      ],
    },
  ]);
}

/** The member that claimed the bootstrap has gone: another empty one goes on in its place. */
function takeOverClaim(ctx: Context): Action {
  const { obs, content } = ctx;
  if (content.identity === null || obs.engine.kind !== 'absent' || obs.tags.nofailover) {
    return wait(
      'bootstrap-elsewhere',
      'The member that was initialising the cluster has gone; an empty one must go on.',
    );
  }
  return act('bootstrap-claimed', `${content.identity.value.by} stopped initialising: this node goes on.`, [
    {
      kind: 'commit',
      purpose: 'take over bootstrap',
      expect: [
        { key: 'identity', is: content.identity.revision },
        { key: 'record', is: 'absent' },
      ],
      put: [{ key: 'identity', value: { ...content.identity.value, by: obs.self, incarnation: obs.incarnation } }],
    },
  ]);
}

function initialise(ctx: Context, sameProcess: boolean): Action {
  const { obs, content } = ctx;
  if (content.identity === null) return wait('bootstrap-elsewhere', 'No claim.');
  switch (obs.engine.kind) {
    case 'absent':
    case 'incomplete':
      return act('initialising', 'Making an empty database.', [{ kind: 'initialize' }]);
    case 'stopped':
      return act('start-fenced', 'Starting the new database read-only.', [{ kind: 'start', end: KEEP_END }]);
    case 'starting':
      return wait('starting', 'The server is starting.');
    case 'replica':
      break;
    default:
      return wait('bootstrap-blocked', `The server is ${obs.engine.kind}.`);
  }
  const { position, systemId } = obs.engine;
  if (position === null) return wait('reading-log', 'The local log is still being read to its end.');
  const record: LeadershipRecord = {
    epoch: epoch(1),
    leader: obs.self,
    incarnation: obs.incarnation,
    phase: 'promoting',
    timeline: (timelineOf(position) ?? 0) + 1,
    rule: ALONE,
    nextRule: null,
    chosenAt: null,
    opened: null,
    durability: ctx.config.durability,
    cause: 'bootstrap',
  };
  return act('founding', `Founding the cluster with system identifier ${systemId}${sameProcess ? '' : ' (resumed)'}.`, [
    {
      kind: 'commit',
      purpose: 'found cluster',
      expect: [
        { key: 'identity', is: content.identity.revision },
        { key: 'record', is: 'absent' },
      ],
      put: [
        {
          key: 'identity',
          value: { state: 'founded', by: obs.self, incarnation: obs.incarnation, systemId, engine: obs.engineName },
        },
        { key: 'record', value: record },
      ],
    },
    {
      kind: 'promote',
      epoch: record.epoch,
      timeline: record.timeline,
      rule: ALONE,
      notAfter: promotionDeadline(obs.now, ctx.config),
    },
  ]);
}
