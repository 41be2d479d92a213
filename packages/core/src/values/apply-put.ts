import { type Incarnation, type MemberId, memberId, type Revision } from './brand.ts';
import type { StorePut } from './command.ts';
import type { StoreContent, Versioned } from './observation.ts';

/** What a store holds before anything was written to it. */
export const EMPTY_CONTENT: StoreContent = {
  identity: null,
  config: null,
  record: null,
  members: new Map(),
  sessions: new Map(),
  seals: new Map(),
  request: null,
  paused: false,
};

/** Anything that is written to the store: what decisions write, and what agents and operators write beside them. */
export type StoreWrite =
  | StorePut
  | { readonly key: `members/${MemberId}`; readonly value: 'delete' }
  | { readonly key: `seals/${MemberId}`; readonly value: 'delete' }
  | { readonly key: `sessions/${MemberId}`; readonly value: Incarnation | 'delete' }
  | { readonly key: 'paused'; readonly value: boolean };

/**
 * The content of the store after one write. The only place that knows which key is which part of the content. History and outcomes are no
 * part of it: no decision looks at them.
 *
 * @param at the revision of the store at which it is written
 */
export function applyPut(content: StoreContent, put: StoreWrite, at: Revision): StoreContent {
  if (isUnder(put, 'members')) return { ...content, members: withEntry(content.members, put.key, put.value) };
  if (isUnder(put, 'sessions'))
    return { ...content, sessions: withEntry(content.sessions, put.key, versioned(put.value, at)) };
  if (isUnder(put, 'seals')) return { ...content, seals: withEntry(content.seals, put.key, versioned(put.value, at)) };
  if (isUnder(put, 'history') || isUnder(put, 'outcomes')) return content;
  switch (put.key) {
    case 'identity':
      return { ...content, identity: { value: put.value, revision: at } };
    case 'config':
      return { ...content, config: { value: put.value, revision: at } };
    case 'record':
      return { ...content, record: { value: put.value, revision: at } };
    case 'request':
      return { ...content, request: put.value === 'delete' ? null : { value: put.value, revision: at } };
    case 'paused':
      return { ...content, paused: put.value };
  }
}

function isUnder<Folder extends string>(
  put: StoreWrite,
  folder: Folder,
): put is Extract<StoreWrite, { readonly key: `${Folder}/${string}` }> {
  return put.key.startsWith(`${folder}/`);
}

function versioned<T>(value: T | 'delete', at: Revision): Versioned<T> | 'delete' {
  return value === 'delete' ? 'delete' : { value, revision: at };
}

function withEntry<T>(map: ReadonlyMap<MemberId, T>, key: string, value: T | 'delete'): ReadonlyMap<MemberId, T> {
  const member = memberId(key.slice(key.indexOf('/') + 1));
  const copy = new Map(map);
  if (value === 'delete') copy.delete(member);
  else copy.set(member, value);
  return copy;
}
