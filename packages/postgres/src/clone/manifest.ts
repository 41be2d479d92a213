import { createHash } from 'node:crypto';
import { z } from 'zod';

const manifestSchema = z.object({
  Files: z.array(
    z.object({
      Path: z.string().optional(),
      'Encoded-Path': z.string().optional(),
      Size: z.number(),
      Checksum: z.string().optional(),
    }),
  ),
  'Manifest-Checksum': z.string(),
});

/** What was unpacked of one file. */
export interface UnpackedFile {
  readonly sizeBytes: number;
  /** CRC-32C. */
  readonly checksum: number;
}

/** A checksum as a manifest writes it: its four bytes in memory order. */
export function manifestChecksum(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString('hex');
}

/**
 * Compares a backup with its manifest: every file of the manifest is there with that size and checksum, and the manifest itself
 * arrived whole.
 *
 * @returns null when all is well; otherwise half a sentence that says what is not.
 */
export function verifyManifest(manifest: Buffer, files: ReadonlyMap<string, UnpackedFile>): string | null {
  const text = manifest.toString('utf8');
  const signed = text.lastIndexOf('"Manifest-Checksum"');
  const parsed = signed < 0 ? null : parse(text);
  if (parsed === null) return 'its manifest is damaged';
  const sum = createHash('sha256').update(text.slice(0, signed)).digest('hex');
  if (sum !== parsed['Manifest-Checksum']) return 'its manifest does not have the checksum that it names';
  for (const entry of parsed.Files) {
    const encoded = entry['Encoded-Path'];
    const path = entry.Path ?? (encoded === undefined ? '' : Buffer.from(encoded, 'hex').toString('utf8'));
    const file = files.get(path);
    if (file === undefined) return `the file ${path} is missing`;
    if (file.sizeBytes !== entry.Size) return `the file ${path} has ${file.sizeBytes} bytes instead of ${entry.Size}`;
    if (entry.Checksum !== undefined && manifestChecksum(file.checksum) !== entry.Checksum) {
      return `the file ${path} has another checksum than on the source`;
    }
  }
  return null;
}

function parse(text: string): z.output<typeof manifestSchema> | null {
  try {
    const parsed = manifestSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
