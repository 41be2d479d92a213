import { randomBytes, randomInt } from 'node:crypto';
import { pollUntil, reasonOf } from '@understudy/base';
import { processInfo, signalPid } from '@understudy/base/processes';
import { LocalError } from '../errors.ts';
import { ip, namespacesObjection, nsenterProgram, tc } from './ip.ts';
import { forget, type NetworkRecord, note, staleRecords } from './records.ts';

/** A host of its own: a network namespace with one address, joined to the others by a bridge on this machine. */
export interface VirtualHost {
  readonly node: string;
  readonly address: string;
  /** Name of the namespace. */
  readonly namespace: string;
  /** This machine's end of the cable. */
  readonly cable: string;
}

/**
 * Hosts on one machine, for tests and drills: each has its own addresses and ports, and its cable can be pulled. The bridge's own
 * address (`address`) is where this machine itself, and the store, are reached. Nothing leaves the machine: the bridge has no uplink.
 */
export class Network {
  readonly address: string;
  readonly hosts: ReadonlyMap<string, VirtualHost>;
  readonly #record: NetworkRecord;

  private constructor(record: NetworkRecord) {
    this.#record = record;
    this.address = `${record.subnet}.1`;
    this.hosts = new Map(record.hosts.map((host) => [host.node, host]));
  }

  /**
   * Makes a bridge and one namespace for each node.
   *
   * @throws LocalError `NETWORK_FAILED`; nothing is left behind then.
   */
  static async create(nodes: readonly string[]): Promise<Network> {
    const objection = namespacesObjection();
    if (objection !== null) throw new LocalError('NETWORK_FAILED', `Network namespaces cannot be used: ${objection}.`);
    await sweepNetworks();
    const own = processInfo(process.pid);
    if (own === null) throw new LocalError('NETWORK_FAILED', 'This process is not in /proc.');
    const id = randomBytes(3).toString('hex');
    const subnet = await freeSubnet();
    const hosts = nodes.map((node, index) => ({
      node,
      address: `${subnet}.${index + 11}`,
      namespace: `us${id}-${index + 1}`,
      cable: `us${id}v${index + 1}`,
    }));
    const record = { id, pid: own.pid, startTicks: own.startTicks, bridge: `us${id}br`, subnet, hosts };
    await note(record);
    try {
      await build(record);
      return new Network(record);
    } catch (error) {
      await tearDown(record);
      throw error;
    }
  }

  /** Program and arguments that run a command on a node's host. */
  enter(node: string, command: readonly string[]): readonly string[] {
    return [nsenterProgram() ?? 'nsenter', `--net=/run/netns/${this.#host(node).namespace}`, '--', ...command];
  }

  /** Pulls a node's cable: everything sent to it or by it is lost without a word. */
  async pull(node: string): Promise<void> {
    await ip('link', 'set', this.#host(node).cable, 'down');
  }

  async plug(node: string): Promise<void> {
    await ip('link', 'set', this.#host(node).cable, 'up');
  }

  /** Drops whatever a node sends to the others and to this machine; what they send still arrives. */
  async mute(node: string): Promise<void> {
    const { namespace } = this.#host(node);
    for (const address of this.#othersOf(node)) await ip('-n', namespace, 'route', 'add', 'blackhole', `${address}/32`);
  }

  async unmute(node: string): Promise<void> {
    const { namespace } = this.#host(node);
    for (const address of this.#othersOf(node)) {
      await ip('-n', namespace, 'route', 'del', 'blackhole', `${address}/32`).catch(() => '');
    }
  }

  /** Drops whatever the others and this machine send to a node; what it sends still arrives. */
  async deafen(node: string): Promise<void> {
    const { namespace } = this.#host(node);
    // The node's own addresses are looked up first of all: that has to come second for anything else to be asked of what arrives.
    await ip('-n', namespace, 'rule', 'add', 'pref', '2', 'lookup', 'local');
    await ip('-n', namespace, 'rule', 'add', 'pref', '1', 'iif', 'eth0', 'blackhole');
    await ip('-n', namespace, 'rule', 'del', 'pref', '0');
  }

  async undeafen(node: string): Promise<void> {
    const { namespace } = this.#host(node);
    const listed = await ip('-n', namespace, 'rule', 'list');
    if (!/^0:/m.test(listed)) await ip('-n', namespace, 'rule', 'add', 'pref', '0', 'lookup', 'local');
    for (const pref of ['1', '2'])
      if (new RegExp(`^${pref}:`, 'm').test(listed)) await ip('-n', namespace, 'rule', 'del', 'pref', pref);
  }

  /**
   * Makes a node's cable slow in both directions: late by netem; where the kernel has none, narrow, so that packets wait in a queue.
   *
   * @returns what was done, for people.
   * @throws LocalError `NETWORK_FAILED`
   */
  async slow(node: string): Promise<string> {
    const { namespace, cable } = this.#host(node);
    const ends = [
      ['-n', namespace, 'qdisc', 'replace', 'dev', 'eth0', 'root'],
      ['qdisc', 'replace', 'dev', cable, 'root'],
    ] as const;
    const refusals: string[] = [];
    for (const { kind, text } of slowKinds) {
      const said = (await Promise.all(ends.map((end) => tc(...end, ...kind)))).filter((answer) => answer !== null);
      if (said.length === 0) return text;
      refusals.push(`${kind[0]}: ${said[0]}`);
    }
    await this.unslow(node);
    throw new LocalError('NETWORK_FAILED', `The cable of ${node} cannot be made slow (${refusals.join('; ')}).`);
  }

  async unslow(node: string): Promise<void> {
    const { namespace, cable } = this.#host(node);
    await tc('-n', namespace, 'qdisc', 'del', 'dev', 'eth0', 'root');
    await tc('qdisc', 'del', 'dev', cable, 'root');
  }

  #othersOf(node: string): string[] {
    const others = [...this.hosts.values()].filter((host) => host.node !== node).map((host) => host.address);
    return [this.address, ...others];
  }

  /** Kills what still runs in the namespaces and removes them with the bridge. Can be called twice. */
  async remove(): Promise<void> {
    await tearDown(this.#record);
  }

  #host(node: string): VirtualHost {
    const host = this.hosts.get(node);
    if (host === undefined) throw new LocalError('NETWORK_FAILED', `There is no host for node "${node}".`);
    return host;
  }
}

/** Ways to make a cable slow, the best first. */
const slowKinds = [
  { kind: ['netem', 'delay', '50ms', '10ms'], text: 'every packet is 40 to 60 ms late in each direction' },
  {
    kind: ['tbf', 'rate', '4mbit', 'burst', '3000', 'latency', '200ms'],
    text: 'this kernel has no netem, so the cable carries 4 Mbit/s in each direction, and packets wait up to 200 ms',
  },
] as const;

/**
 * Removes networks whose process has died without doing so.
 *
 * @returns how many there were.
 */
export async function sweepNetworks(): Promise<number> {
  const stale = await staleRecords();
  for (const record of stale) await tearDown(record);
  return stale.length;
}

async function build(record: NetworkRecord): Promise<void> {
  const { bridge, subnet } = record;
  await ip('link', 'add', bridge, 'type', 'bridge');
  await ip('addr', 'add', `${subnet}.1/24`, 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
  for (const { address, namespace, cable } of record.hosts) {
    await ip('netns', 'add', namespace);
    await ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await ip('link', 'set', cable, 'master', bridge);
    await ip('link', 'set', cable, 'up');
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    await ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  }
}

async function tearDown(record: NetworkRecord): Promise<void> {
  const problems: string[] = [];
  const attempt = (work: Promise<unknown>) => work.catch((error: unknown) => problems.push(reasonOf(error)));
  for (const { namespace, cable } of record.hosts) {
    await endProcessesIn(namespace);
    await attempt(ip('netns', 'del', namespace));
    // Deleting the namespace deletes the cable, but only when the kernel gets round to it.
    await attempt(ip('link', 'del', cable));
  }
  await attempt(ip('link', 'del', record.bridge));
  const real = problems.filter((text) => !/No such file|Cannot find device|does not exist/.test(text));
  if (real.length > 0) throw new LocalError('NETWORK_FAILED', `Not everything could be removed: ${real.join('; ')}`);
  await forget(record);
}

async function endProcessesIn(namespace: string): Promise<void> {
  await pollUntil(
    async () => {
      const listed = await ip('netns', 'pids', namespace).catch(() => '');
      const pids = listed
        .split('\n')
        .map(Number)
        .filter((pid) => pid > 1 && pid !== process.pid);
      for (const pid of pids) signalPid(pid, 'SIGKILL');
      return pids.length === 0 ? true : null;
    },
    { everyMs: 20, timeoutMs: 5000 },
  );
}

/** A private /24 that no interface of this machine uses. */
async function freeSubnet(): Promise<string> {
  const inUse = `${await ip('-o', '-4', 'addr')}\n${await ip('-4', 'route')}`;
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const subnet = `10.${randomInt(64, 254)}.${randomInt(1, 254)}`;
    const second = subnet.split('.').slice(0, 2).join('.');
    if (!inUse.includes(`${second}.`) && !/\b10\.0\.0\.0\/8\b/.test(inUse)) return subnet;
  }
  throw new LocalError(
    'NETWORK_FAILED',
    'Every private network that was tried is in use on this machine (10.0.0.0/8 is routed).',
  );
}
