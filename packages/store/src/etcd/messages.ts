/**
 * The messages of etcd's JSON gateway (etcd API v3, rpc.proto and kv.proto): keys and values in base64, 64-bit integers
 * as strings, zero values left out. Pure encoding and decoding.
 */

import type { Revision } from '@understudy/base';
import { z } from 'zod';
import type { Compare, KeyValue, LeaseId, Snapshot, StoreId, Write } from '../port.ts';
import type { AnswerHeader } from './header.ts';

const int64 = z.string().regex(/^-?\d{1,19}$/);
const uint64 = z.string().regex(/^\d{1,20}$/);
const revision = int64.transform((text, context) => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value as Revision;
  context.addIssue({ code: 'custom', message: `revision ${text} is out of range` });
  return z.NEVER;
});
const noRevision = 0 as Revision;
const base64Text = z.string().transform((text) => Buffer.from(text, 'base64').toString('utf8'));

const header = z.object({
  cluster_id: uint64.transform((id) => id as StoreId),
  revision: revision.default(noRevision),
});

const keyValue = z.object({
  key: base64Text,
  value: base64Text.default(''),
  create_revision: revision.default(noRevision),
  mod_revision: revision,
  lease: int64.optional(),
});

export const rangeResponse = z.object({ header, kvs: z.array(keyValue).default([]) });
export const txnResponse = z.object({ header, succeeded: z.boolean().default(false) });
export const leaseGrantResponse = z.object({ header, ID: int64, TTL: int64 });
export const leaseKeepAliveResponse = z.object({ result: z.object({ header, TTL: int64.default('0') }) });
export const leaseRevokeResponse = z.object({ header });
export const authenticateResponse = z.object({ header, token: z.string().min(1) });

/** Version 1 of the gateway (3.4, upstream 3.5) says `error` and `grpc_code`; version 2 says `message` and `code`. */
export const errorResponse = z.union([
  z.object({ code: z.int(), error: z.string() }).transform(({ code, error }) => ({ code, text: error })),
  z.object({ code: z.int(), message: z.string() }).transform(({ code, message }) => ({ code, text: message })),
]);
const streamError = z.union([
  z
    .object({ grpc_code: z.int(), message: z.string() })
    .transform(({ grpc_code: code, message }) => ({ code, message })),
  z.object({ code: z.int(), message: z.string() }),
]);

export const watchMessage = z.union([
  z.object({
    result: z.object({
      header,
      created: z.boolean().default(false),
      canceled: z.boolean().default(false),
      compact_revision: revision.default(noRevision),
      cancel_reason: z.string().default(''),
      events: z.array(z.object({ type: z.enum(['PUT', 'DELETE']).default('PUT'), kv: keyValue })).default([]),
    }),
  }),
  z.object({ error: streamError }),
]);
export type WatchMessage = z.infer<typeof watchMessage>;
export type WatchEvents = Extract<WatchMessage, { result: unknown }>['result']['events'];

/** Every answer carries the id of the cluster that gave it, at the top or, in streams, one level down. */
const anyResponse = z.union([z.object({ header }), z.object({ result: z.object({ header }) })]);

export function headerOf(body: unknown): AnswerHeader | null {
  const parsed = anyResponse.safeParse(body);
  if (!parsed.success) return null;
  const { cluster_id: clusterId, revision: at } =
    'header' in parsed.data ? parsed.data.header : parsed.data.result.header;
  return { clusterId, revision: at };
}

/** The keys of one cluster in a store: prefix, and the two ends of its range as base64. */
export class KeySpace {
  readonly prefix: string;
  readonly #range: { readonly key: string; readonly range_end: string };

  constructor(cluster: string) {
    this.prefix = `understudy/${cluster}/`;
    // '0' follows '/', so this ends the range of all keys with the prefix.
    this.#range = { key: encode(this.prefix), range_end: encode(`understudy/${cluster}0`) };
  }

  /** Linearizable: `serializable` is left out, which is false. */
  rangeRequest(): object {
    return this.#range;
  }

  /** A linearizable read that returns no data: proof that the member has a leader and is of the right cluster. */
  probeRequest(): object {
    return { ...this.#range, count_only: true };
  }

  /**
   * A watch from the moment of its creation on. With a revision to start from, etcd may first queue it as a slow one
   * (0.1 s), or refuse it as compacted; reading once the watch stands serves better.
   *
   * Progress notifications are asked for as a sign of life only. Their revision is not used: in several 3.4 and 3.5
   * releases it could run ahead of the events (etcd issue 15220).
   */
  watchRequest(): object {
    return { create_request: { ...this.#range, progress_notify: true } };
  }

  txnRequest(compares: readonly Compare[], writes: readonly Write[]): object {
    return {
      compare: compares.map((compare) => this.#compare(compare)),
      success: writes.map((write) => this.#write(write)),
    };
  }

  snapshot(response: z.infer<typeof rangeResponse>): Snapshot {
    const entries = new Map<string, KeyValue>();
    for (const kv of response.kvs) {
      const entry = this.#entry(kv);
      entries.set(entry.key, entry);
    }
    return { storeId: response.header.cluster_id, revision: response.header.revision, entries };
  }

  /**
   * The state after `events`, or the same object when they bring nothing new. Events up to the revision of the state
   * are skipped: a member that lags may send them although later ones were asked for (etcd issue 20221).
   */
  applyEvents(state: Snapshot, events: WatchEvents): Snapshot {
    const fresh = events.filter(({ kv }) => kv.mod_revision > state.revision);
    if (fresh.length === 0) return state;
    const entries = new Map(state.entries);
    let last = state.revision;
    for (const { type, kv } of fresh) {
      const entry = this.#entry(kv);
      if (type === 'DELETE') entries.delete(entry.key);
      else entries.set(entry.key, entry);
      if (entry.modRevision > last) last = entry.modRevision;
    }
    return { storeId: state.storeId, revision: last, entries };
  }

  #entry(kv: z.infer<typeof keyValue>): KeyValue {
    const lease = kv.lease === undefined || kv.lease === '0' ? null : (kv.lease as LeaseId);
    return {
      key: kv.key.slice(this.prefix.length),
      value: kv.value,
      createRevision: kv.create_revision,
      modRevision: kv.mod_revision,
      lease,
    };
  }

  #compare(compare: Compare): object {
    const key = encode(this.prefix + compare.key);
    switch (compare.kind) {
      case 'absent':
        return { key, target: 'CREATE', result: 'EQUAL', create_revision: '0' };
      case 'exists':
        return { key, target: 'CREATE', result: 'GREATER', create_revision: '0' };
      case 'unchanged':
        return { key, target: 'MOD', result: 'EQUAL', mod_revision: String(compare.modRevision) };
    }
  }

  #write(write: Write): object {
    const key = encode(this.prefix + write.key);
    if (write.kind === 'delete') return { request_delete_range: { key } };
    return { request_put: { key, value: encode(write.value), lease: write.lease ?? '0' } };
  }
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
