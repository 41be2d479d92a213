import { monotonicMs } from '@understudy/base';
import { DrillError } from '../errors.ts';
import type { Fault } from './fault.ts';

const waitMs = 20_000;

export const switchover: Fault = {
  name: 'switchover',
  text: 'a planned switchover to another node through the HTTP API',
  needs: 'nothing',
  holdMs: 0,
  writes: 'go-on',
  inject: async ({ leader, say }) => {
    const atMs = monotonicMs();
    const state = await leader.api.switchover({ waitMs });
    if (state.state !== 'ended' || state.outcome.result !== 'done') {
      const why = state.state === 'ended' ? state.outcome.reason : `still pending after ${waitMs} ms`;
      throw new DrillError('FAULT_FAILED', `The switchover did not succeed: ${why}`);
    }
    say(state.outcome.reason);
    return { atMs, heal: async () => undefined };
  },
};
