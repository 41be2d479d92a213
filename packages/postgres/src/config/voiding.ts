/** A parameter that voids the promise when it is not at its safe value. */
export interface VoidingParameter {
  readonly safe: 'on' | 'off';
  /** What it costs: a sentence. */
  readonly why: string;
}

/** Refused for the cluster and for a node at any value but the safe one, and looked for on every running server. */
export const voidingParameters: ReadonlyMap<string, VoidingParameter> = new Map([
  [
    'fsync',
    { safe: 'on', why: 'what this member confirms is lost when its host loses power or its operating system crashes.' },
  ],
  ['full_page_writes', { safe: 'on', why: 'pages that were half written when power went away cannot be repaired.' }],
  [
    'data_sync_retry',
    { safe: 'off', why: 'writes that the disk refused count as written when the next attempt says so.' },
  ],
  ['zero_damaged_pages', { safe: 'off', why: 'damaged pages, with the rows in them, are silently emptied.' }],
  [
    'ignore_checksum_failure',
    { safe: 'off', why: 'damaged pages are read, and copied to replicas, as if they were sound.' },
  ],
  ['ignore_invalid_pages', { safe: 'off', why: 'a replica skips changes that it cannot apply.' }],
]);

/** Why a value must not be given; null when it may. */
export function voidingProblem(name: string, value: string): string | null {
  const parameter = voidingParameters.get(name);
  if (parameter === undefined) return null;
  if (isOn(value) === (parameter.safe === 'on')) return null;
  return `must not be ${value}: ${parameter.why} It stays ${parameter.safe}; remove it.`;
}

/** Reads a switch as the server does. */
export function isOn(value: string): boolean {
  return /^(on|true|tru|tr|t|yes|ye|y|1)$/i.test(value.trim());
}

const ranks = ['off', 'local', 'remote_write', 'on', 'remote_apply'];

/** How much a commit waits for, by its `synchronous_commit`. */
export function commitRank(value: string): number {
  const plain = value.toLowerCase().replaceAll(/^'|'$/g, '');
  if (/^(true|yes|1)$/.test(plain)) return ranks.indexOf('on');
  if (/^(false|no|0)$/.test(plain)) return ranks.indexOf('off');
  return Math.max(0, ranks.indexOf(plain));
}
