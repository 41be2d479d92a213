import type { Probe, ServerAdapter } from '@understudy/engine/host';
import { clone } from './clone/clone.ts';
import { setAckRule } from './commands/ack-rule.ts';
import { checkpoint } from './commands/checkpoint.ts';
import { follow } from './commands/follow.ts';
import { initialize } from './commands/initialize.ts';
import { promote } from './commands/promote.ts';
import { provision } from './commands/provision.ts';
import { seal } from './commands/seal.ts';
import { start } from './commands/start.ts';
import { fence, stopInOrder } from './commands/stop.ts';
import type { Instance } from './instance.ts';
import { Maintenance } from './maintain.ts';
import type { Observer } from './observe/observer.ts';
import { verifierOf } from './sql/verifier.ts';

/** The verbs of MySQL and MariaDB, each in a file of its own. */
export function mysqlAdapter(instance: Instance, observer: Observer, probe: Probe): ServerAdapter {
  const { options, programs, dialect, config, sql, facts, kept, log, outgoing, outside, tails } = instance;
  const maintenance = new Maintenance(instance);
  return {
    name: programs.flavour,
    requiredAcksMax: dialect.requiredAcksMax,
    // A replica acknowledges what it has written durably, and nothing else can be asked for.
    commitDegrees: [],
    progress: 'reported',
    member: options.member,
    server: instance.process,
    sql,
    facts,
    kept,
    log,
    probe,
    outgoing,
    background: tails,
    observe: (reports = new Map()) => observer.observe(reports),
    details: () => ({
      version: programs.version,
      warnings: [...observer.warnings, ...outside.warnings(), ...maintenance.warnings],
      pendingRestart: maintenance.pendingRestart,
      retainedBytes: {},
      logins: maintenance.logins,
    }),
    canRewind: () => 'no',
    checkParameters: async (parameters) => config.check(parameters),
    learn: (context) => config.learn(context),
    initialize: (signal) => initialize(instance, signal),
    start: (end, signal) => start(instance, end, signal),
    stop: (mode) => stopInOrder(instance, mode),
    fence: () => fence(instance),
    rehearse: () => config.rehearse(),
    clone: (from, { progress, signal }) => clone(instance, from, progress, signal),
    rewind: null,
    checkpoint: (signal) => checkpoint(instance, signal),
    provision: (context, signal) => provision(instance, context, signal),
    seal: () => seal(instance),
    follow: (upstream, context) => follow(instance, upstream, context),
    setAckRule: (rule, context) => setAckRule(instance, rule, context),
    promote: async (command, context) => ({ finish: () => promote(instance, command, context) }),
    verifierOf: async (password) => verifierOf(programs.flavour, password),
    configure: (context) => maintenance.configure(context),
    maintain: (context) => maintenance.run(context),
  };
}
