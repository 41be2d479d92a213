/** The two servers of a pair. */
export type SideName = 'n1' | 'n2';

export const sideNames = ['n1', 'n2'] as const satisfies readonly SideName[];

/** The other server. */
export const otherSide = (side: SideName): SideName => (side === 'n1' ? 'n2' : 'n1');

/** One value for each server. */
export type Both<T> = Readonly<Record<SideName, T>>;

/** How many servers take turns in numbering rows. */
export const offsetIncrement = 2;

/** The numbers by which the servers of a pair are told apart. They never change: a changed `server_id` would let old events circulate. */
export interface SideNumbers {
  readonly serverId: number;
  /** `auto_increment_offset`: one server numbers rows 1, 3, 5, …, the other 2, 4, 6, …. */
  readonly offset: number;
  /**
   * `gtid_domain_id` of what is written on this server (MariaDB). In one domain numbers must ascend, so two servers that write at the same
   * time need a domain each; 0, the default, is used by nobody, so that a server that was never configured cannot mix with them.
   */
  readonly domain: number;
}

export const sideNumbers: Both<SideNumbers> = {
  n1: { serverId: 1, offset: 1, domain: 1 },
  n2: { serverId: 2, offset: 2, domain: 2 },
};

/** The settings that make two servers a pair, beside those that every replicated server has. */
export function pairSettings(
  side: SideName,
  gtids: 'sets' | 'domains',
): readonly (readonly [name: string, value: string])[] {
  const { offset, domain } = sideNumbers[side];
  return [
    ['auto_increment_increment', String(offsetIncrement)],
    ['auto_increment_offset', String(offset)],
    ...(gtids === 'domains' ? [['gtid_domain_id', String(domain)] as const] : []),
  ];
}

/** The next number that a server gives to a row whose table's highest number is `highest`. */
export function nextNumber(side: SideName, highest: bigint): bigint {
  const { offset } = sideNumbers[side];
  const increment = BigInt(offsetIncrement);
  const steps = (highest - BigInt(offset) + increment) / increment;
  return highest < BigInt(offset) ? BigInt(offset) : BigInt(offset) + steps * increment;
}
