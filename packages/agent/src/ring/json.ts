/** JSON for values that JSON has no words for: maps, big integers and infinities. */

export function toText(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (each instanceof Map) return { $map: [...each] };
    if (typeof each === 'bigint') return { $int: each.toString() };
    if (typeof each === 'number' && !Number.isFinite(each)) return { $number: String(each) };
    return each;
  });
}

/** @throws SyntaxError */
export function fromText(text: string): unknown {
  return JSON.parse(text, (_key, each: unknown) => {
    if (typeof each !== 'object' || each === null) return each;
    if ('$map' in each && Array.isArray(each.$map)) return new Map(each.$map);
    if ('$int' in each && typeof each.$int === 'string') return BigInt(each.$int);
    if ('$number' in each) return Number(each.$number);
    return each;
  });
}
