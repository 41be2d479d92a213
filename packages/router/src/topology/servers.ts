/**
 * Follows a plain list of servers: each is asked for its role over a connection that stays open. Weaker than agents: nothing here proves
 * which of two primaries is the right one, so while two say that they are, neither is used.
 */

import { Batch } from '../worker/batch.ts';
import { ServerConnection } from '../worker/server/server-connection.ts';
import type { ServerTls } from '../worker/server/server-socket.ts';
import type { Follower } from './follower.ts';
import type { ClusterView, MemberView, Place } from './view.ts';

export interface ServersOptions {
  readonly servers: readonly Place[];
  readonly login: { readonly user: string; readonly password: string; readonly database: string };
  readonly tls: ServerTls | null;
  readonly onView: (view: ClusterView) => void;
}

const ASK_EVERY_MS = 250;
const ANSWER_MS = 2_000;

export function followServers(options: ServersOptions): Follower {
  return new ServersFollower(options);
}

interface Probe {
  readonly place: Place;
  server: ServerConnection | null;
  serves: MemberView['serves'];
  askedAtMs: number | null;
}

class ServersFollower implements Follower {
  readonly #options: ServersOptions;
  readonly #batch = new Batch();
  readonly #probes: readonly Probe[];
  readonly #timer: NodeJS.Timeout;
  #epoch = 0;
  #primary: string | null = null;
  #stopped = false;

  constructor(options: ServersOptions) {
    this.#options = options;
    this.#probes = options.servers.map((place) => ({ place, server: null, serves: 'none', askedAtMs: null }));
    this.#timer = setInterval(() => this.look(), ASK_EVERY_MS);
    this.look();
  }

  look(): void {
    for (const probe of this.#probes) this.#ask(probe);
  }

  #ask(probe: Probe): void {
    const now = performance.now();
    if (probe.askedAtMs !== null) {
      if (now - probe.askedAtMs > ANSWER_MS)
        probe.server?.end({ kind: 'lost', code: 'ETIMEDOUT', message: 'no answer' });
      return;
    }
    probe.askedAtMs = now;
    if (probe.server === null) probe.server = this.#connect(probe);
    // The role comes with the answer to anything: PostgreSQL reports `in_hot_standby` when it changes.
    else probe.server.run('', () => this.#answered(probe));
  }

  #connect(probe: Probe): ServerConnection {
    const { name, host, port } = probe.place;
    const { user, database, password } = this.#options.login;
    return new ServerConnection({
      member: name,
      host,
      port,
      tls: this.#options.tls,
      user,
      database,
      credentials: { kind: 'password', password },
      settings: [['application_name', 'understudy router']],
      batch: this.#batch,
      onReady: () => this.#answered(probe),
      onEnded: () => {
        probe.server = null;
        this.#answered(probe);
      },
    });
  }

  #answered(probe: Probe): void {
    probe.askedAtMs = null;
    const isReplica = probe.server?.isReplica ?? null;
    const serves = isReplica === null ? 'none' : isReplica ? 'replica' : 'primary';
    if (serves === probe.serves && this.#epoch > 0) return;
    probe.serves = serves;
    this.#publish();
  }

  #publish(): void {
    if (this.#stopped) return;
    const primaries = this.#probes.filter((probe) => probe.serves === 'primary');
    const primary = primaries.length === 1 ? (primaries[0]?.place.name ?? null) : null;
    if (primary !== null && primary !== this.#primary) {
      this.#primary = primary;
      this.#epoch++;
    }
    const members = this.#probes.map(({ place, serves }): MemberView => {
      return { ...place, serves: serves === 'primary' && place.name !== primary ? 'none' : serves, lagMs: null };
    });
    this.#options.onView({ epoch: this.#epoch, primary, members });
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const { server } of this.#probes) server?.close();
  }
}
