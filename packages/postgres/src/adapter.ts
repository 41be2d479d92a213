import { EngineError } from '@understudy/engine';
import type { Probe, ServerAdapter } from '@understudy/engine/host';
import { clone } from './clone/clone.ts';
import { setAckRule } from './commands/ack-rule.ts';
import { checkpoint } from './commands/checkpoint.ts';
import { startProblems, wouldStart } from './commands/dry-check.ts';
import { follow } from './commands/follow.ts';
import { initialize } from './commands/initialize.ts';
import { promote } from './commands/promote.ts';
import { provision } from './commands/provision.ts';
import { canRewind, rewind } from './commands/rewind.ts';
import { seal } from './commands/seal.ts';
import { start } from './commands/start.ts';
import { fence, stopInOrder } from './commands/stop.ts';
import type { Instance } from './instance.ts';
import { Maintenance } from './maintain.ts';
import type { Observer } from './observe/observer.ts';

import { scramVerifier } from './sql/scram.ts';

/** The verbs of PostgreSQL, each in a file of its own. */
export function postgresAdapter(instance: Instance, observer: Observer, probe: Probe): ServerAdapter {
  const { options, postmaster, config, sql, facts, kept, log, version } = instance;
  const maintenance = new Maintenance(instance, probe);
  return {
    name: 'postgres',
    requiredAcksMax: null,
    commitDegrees: ['remote_apply', 'remote_write', 'local'],
    progress: 'seen',
    member: options.member,
    server: postmaster,
    sql,
    facts,
    kept,
    log,
    probe,
    outgoing: null,
    background: null,
    observe: () => observer.observe(),
    details: () => ({ version, ...maintenance.details() }),
    canRewind: () => canRewind(instance),
    checkParameters: async (parameters) => {
      const wrong = config.check(parameters);
      return wrong.length > 0 ? wrong : startProblems(instance, parameters);
    },
    learn: (context) => {
      config.learn(context);
      observer.attempt.learn(context.members);
    },
    initialize: (signal) => initialize(instance, signal),
    start: (_, signal) => start(instance, signal),
    stop: (mode) => stopInOrder(instance, mode),
    fence: () => fence(instance),
    rehearse: () => rehearse(instance),
    clone: (from, { progress, signal }) => clone(instance, from, progress, signal),
    rewind: (from, { progress, signal }) => rewind(instance, from, progress, signal),
    checkpoint: (signal) => checkpoint(instance, signal),
    provision: (context, signal) => provision(instance, context, signal),
    seal: () => seal(instance),
    follow: async (upstream, context) => {
      if ((await follow(instance, upstream, context)) === 'changed') await observer.receiverLog.restart();
    },
    setAckRule: (rule) => setAckRule(instance, rule),
    promote: (command, context) => promote(instance, command, context),
    verifierOf: scramVerifier,
    configure: (context) => maintenance.configure(context),
    maintain: (context) => maintenance.run(context),
  };
}

async function rehearse(instance: Instance): Promise<void> {
  const problem = await wouldStart(instance);
  if (problem === null) return;
  const text = `The server is not stopped, because it would not start again: ${problem}.`;
  throw new EngineError('ENGINE_START_FAILED', text, { next: 'Correct that first.' });
}
