/** The one place where store values become text and back. */

import { encodePosition, type Position, type StorePut } from '@understudy/core';
import type { z } from 'zod';
import { storedClusterConfigSchema } from '../config/cluster-config.ts';
import { AgentError } from '../errors.ts';
import {
  historySchema,
  identitySchema,
  incarnationSchema,
  memberSchema,
  outcomeSchema,
  pausedSchema,
  recordSchema,
  requestSchema,
  sealSchema,
} from './schemas.ts';
import { withCodeNames, withStoredNames } from './stored-names.ts';

/** A store value that is not what its key says. It is never acted on. */
export class StoreValueError extends AgentError {
  override readonly name: string = 'StoreValueError';
  readonly key: string;

  constructor(key: string, problem: string) {
    super(
      'STORE_VALUE_INVALID',
      `The store's key "${key}" holds a value that this version does not understand: ${problem}.`,
      { next: 'Upgrade this agent if another one is newer, or restore the key.' },
    );
    this.key = key;
  }
}

/** Reads the JSON text of `key` by `schema`. @throws StoreValueError */
function decodeJson<T>(key: string, text: string, schema: z.ZodType<T>): T {
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    throw new StoreValueError(key, 'it is not JSON');
  }
  const parsed = schema.safeParse(withCodeNames(input));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || '(whole value)'}: ${issue.message}`);
  throw new StoreValueError(key, problems.slice(0, 5).join('; '));
}

export const decodeIdentity = (key: string, text: string) => decodeJson(key, text, identitySchema);
export const decodeConfig = (key: string, text: string) => decodeJson(key, text, storedClusterConfigSchema);
export const decodeRecord = (key: string, text: string) => decodeJson(key, text, recordSchema);
export const decodeMember = (key: string, text: string) => decodeJson(key, text, memberSchema);
export const decodeSession = (key: string, text: string) => decodeJson(key, text, incarnationSchema);
export const decodeSeal = (key: string, text: string) => decodeJson(key, text, sealSchema);
export const decodeRequest = (key: string, text: string) => decodeJson(key, text, requestSchema);
export const decodePaused = (key: string, text: string) => decodeJson(key, text, pausedSchema);
export const decodeOutcome = (key: string, text: string) => decodeJson(key, text, outcomeSchema);
export const decodeHistory = (key: string, text: string) => decodeJson(key, text, historySchema);

type PutValue = Exclude<StorePut['value'], 'delete'>;

/** The text of a value, with its positions in their encoded form. */
export function encodeStoreValue(value: PutValue | string | { readonly by: string; readonly wallMs: number }): string {
  return JSON.stringify(typeof value === 'string' ? value : withStoredNames(withEncodedPositions(value)));
}

const POSITION_FIELDS = ['chosenAt', 'opened', 'position', 'floor'] as const;

/** Only the named fields hold positions; they are replaced, everything else is plain JSON already. */
function withEncodedPositions(value: object): object {
  const encoded: Record<string, unknown> = { ...value };
  for (const field of POSITION_FIELDS) {
    if (isPosition(encoded[field])) encoded[field] = encodePosition(encoded[field]);
  }
  return encoded;
}

function isPosition(value: unknown): value is Position {
  return (
    typeof value === 'object' && value !== null && 'kind' in value && (value.kind === 'wal' || value.kind === 'gtid')
  );
}
