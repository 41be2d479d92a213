import { monotonicMs } from '@understudy/base';
import { DrillError } from '../errors.ts';
import type { Fault, FaultContext } from './fault.ts';
import { bringStoreLeader } from './store.ts';

function networkOf({ cluster }: FaultContext): NonNullable<FaultContext['cluster']['network']> {
  if (cluster.network !== null) return cluster.network;
  throw new DrillError('FAULT_FAILED', 'This fault needs network namespaces (root, and the program "ip").');
}

export const partition: Fault = {
  name: 'partition',
  text: "the primary's cable is pulled: everything to and from it is lost silently, for 8 s",
  needs: 'namespaces',
  holdMs: 8000,
  writes: 'go-on',
  inject: async (context) => {
    const network = networkOf(context);
    const { name } = context.leader;
    await bringStoreLeader(context);
    const atMs = monotonicMs();
    await network.pull(name);
    return { atMs, heal: () => network.plug(name) };
  },
};

export const partitionOneWay: Fault = {
  name: 'partition-one-way',
  text: 'what the primary sends is lost silently, what is sent to it arrives, for 8 s',
  needs: 'namespaces',
  holdMs: 8000,
  writes: 'go-on',
  inject: async (context) => {
    const network = networkOf(context);
    const { name } = context.leader;
    const atMs = monotonicMs();
    await network.mute(name);
    return { atMs, heal: () => network.unmute(name) };
  },
};

/**
 * The other half of `partition-one-way`: the primary is heard by everybody and hears nobody. Its streams stay open on its side, and it
 * learns of no acknowledgement.
 */
export const halfOpenLink: Fault = {
  name: 'half-open-link',
  text: 'what is sent to the primary is lost silently, what it sends arrives, for 8 s',
  needs: 'namespaces',
  holdMs: 8000,
  writes: 'go-on',
  inject: async (context) => {
    const network = networkOf(context);
    const { name } = context.leader;
    const atMs = monotonicMs();
    await network.deafen(name);
    return { atMs, heal: () => network.undeafen(name) };
  },
};

export const slowLink: Fault = {
  name: 'slow-link',
  text: "the primary's cable is slow in both directions for 8 s: packets are late, none is lost for good",
  needs: 'namespaces',
  holdMs: 8000,
  writes: 'go-on',
  inject: async (context) => {
    const network = networkOf(context);
    const { name } = context.leader;
    const atMs = monotonicMs();
    context.say(await network.slow(name));
    return { atMs, heal: () => network.unslow(name) };
  },
};
