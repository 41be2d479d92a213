import { codeOf, monotonicMs, reasonOf, withDeadline } from '@understudy/base';
/** Carries out what was decided: in order, up to the first failure, and only as long as the view it was decided on still holds. */

import type { Command, EngineCommand, Ms } from '@understudy/core';
import type { ClusterContext, Engine } from '@understudy/engine';
import { AgentError } from '../errors.ts';
import type { StoreLink } from '../store/link.ts';
import type { TurnEnd } from './tempo.ts';

/** A decision older than this is not acted on any more, unless it is its first command. */
const STALE_MS = 500;
/** Engines bound their commands themselves; this only keeps a mistake there from stopping the agent for good. */
const COMMAND_LIMIT_MS = 60_000;

export interface Execution {
  readonly commands: readonly Command[];
  readonly decidedAt: Ms;
  /** State of the store that the decision was made on. */
  readonly generation: number;
  readonly engine: Engine;
  readonly link: StoreLink;
  readonly context: () => ClusterContext;
  readonly commitDeadlineMs: number;
  /** Called before every command of the engine; it is given only when this resolves. */
  readonly before: (command: EngineCommand) => Promise<void>;
  /** Called before a promotion; it goes on only when this resolves. */
  readonly beforePromotion: () => Promise<void>;
  readonly onFailure: (command: string, code: string, message: string) => void;
  readonly onDone: (command: Command, tookMs: number) => void;
}

export async function execute(execution: Execution): Promise<TurnEnd> {
  let { generation } = execution;
  for (const [index, command] of execution.commands.entries()) {
    if (index > 0 && isOvertaken(execution, generation)) return { kind: 'overtaken' };
    const startedAt = monotonicMs();
    try {
      if (command.kind === 'commit') {
        const outcome = await execution.link.commit(command, execution.commitDeadlineMs);
        if (outcome.kind === 'rejected') return { kind: 'overtaken' };
        generation = execution.link.generation;
      } else {
        await runOnEngine(execution, command);
      }
    } catch (error) {
      execution.onFailure(command.kind, codeOf(error) ?? 'INTERNAL', reasonOf(error));
      return { kind: 'failed' };
    }
    execution.onDone(command, monotonicMs() - startedAt);
  }
  return execution.commands.length === 0 ? { kind: 'nothing-to-do' } : { kind: 'done' };
}

function isOvertaken(execution: Execution, generation: number): boolean {
  return execution.link.generation !== generation || monotonicMs() - execution.decidedAt > STALE_MS;
}

async function runOnEngine(execution: Execution, command: EngineCommand): Promise<void> {
  await execution.before(command);
  if (command.kind === 'promote') await execution.beforePromotion();
  const late = () =>
    new AgentError('COMMAND_TIMEOUT', `The engine did not end "${command.kind}" within ${COMMAND_LIMIT_MS} ms.`);
  await withDeadline(execution.engine.execute(command, execution.context()), COMMAND_LIMIT_MS, late);
}
