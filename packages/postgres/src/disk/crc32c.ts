/** CRC-32C (Castagnoli), the checksum of PostgreSQL's control file, WAL and backup manifests. Sixteen tables after each other: sixteen bytes a step. */
const tables = makeTables();

// Signed: an unsigned element above 2^31 becomes a floating-point number, which makes every step twice as long.
function makeTables(): Int32Array {
  const all = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    all[byte] = value;
  }
  for (let i = 256; i < all.length; i++) {
    const previous = all[i - 256] ?? 0;
    all[i] = (previous >>> 8) ^ (all[previous & 0xff] ?? 0);
  }
  return all;
}

const at = (index: number): number => tables[index] ?? 0;

/** What four bytes contribute; `first` is where the table of the last of them begins. */
function word(value: number, first: number): number {
  return (
    at(first + 768 + (value & 0xff)) ^
    at(first + 512 + ((value >>> 8) & 0xff)) ^
    at(first + 256 + ((value >>> 16) & 0xff)) ^
    at(first + (value >>> 24))
  );
}

/** Goes on with a checksum: `state` is 0 at the beginning, the result of the previous call after it. */
export function crc32c(data: Uint8Array, state = 0): number {
  let crc = ~state;
  let i = 0;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (; i + 16 <= data.length; i += 16) {
    crc =
      word(view.getInt32(i, true) ^ crc, 3072) ^
      word(view.getInt32(i + 4, true), 2048) ^
      word(view.getInt32(i + 8, true), 1024) ^
      word(view.getInt32(i + 12, true), 0);
  }
  for (; i < data.length; i++) crc = at((crc ^ (data[i] ?? 0)) & 0xff) ^ (crc >>> 8);
  return ~crc >>> 0;
}
