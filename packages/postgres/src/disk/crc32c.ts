/** CRC-32C (Castagnoli), the checksum of PostgreSQL's control file, WAL and backup manifests. Eight tables: eight bytes a step. */
const tables = makeTables();

function makeTables(): readonly Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    first[byte] = value >>> 0;
  }
  const all = [first];
  for (let n = 1; n < 8; n++) {
    const previous = all[n - 1] ?? first;
    all.push(previous.map((value) => (value >>> 8) ^ (first[value & 0xff] ?? 0)));
  }
  return all;
}

const empty = new Uint32Array(256);
const [t0 = empty, t1 = empty, t2 = empty, t3 = empty, t4 = empty, t5 = empty, t6 = empty, t7 = empty] = tables;
const at = (table: Uint32Array, value: number): number => table[value & 0xff] ?? 0;

/** Goes on with a checksum: `state` is 0 at the beginning, the result of the previous call after it. */
export function crc32c(data: Uint8Array, state = 0): number {
  let crc = ~state >>> 0;
  let i = 0;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (; i + 8 <= data.length; i += 8) {
    const low = view.getUint32(i, true) ^ crc;
    const high = view.getUint32(i + 4, true);
    crc =
      at(t7, low) ^
      at(t6, low >>> 8) ^
      at(t5, low >>> 16) ^
      at(t4, low >>> 24) ^
      at(t3, high) ^
      at(t2, high >>> 8) ^
      at(t1, high >>> 16) ^
      at(t0, high >>> 24);
  }
  for (; i < data.length; i++) crc = at(t0, crc ^ (data[i] ?? 0)) ^ (crc >>> 8);
  return ~crc >>> 0;
}
