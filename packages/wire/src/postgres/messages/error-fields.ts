/** Errors and notices: fields by letter. */

import { ByteReader, ByteWriter } from '../bytes.ts';
import { SERVER } from '../types.ts';

export type Severity = 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'DEBUG' | 'INFO' | 'LOG';

export interface ErrorFields {
  /** Not translated, unlike the `S` field of servers. */
  readonly severity: Severity;
  /** SQLSTATE, five characters. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  /** All other fields by their letter, as a server sent them. */
  readonly others?: ReadonlyMap<string, string>;
}

const KNOWN = new Set(['S', 'V', 'C', 'M', 'D', 'H']);
const SEVERITIES: ReadonlySet<string> = new Set([
  'ERROR',
  'FATAL',
  'PANIC',
  'WARNING',
  'NOTICE',
  'DEBUG',
  'INFO',
  'LOG',
]);
const isSeverity = (text: string | undefined): text is Severity => text !== undefined && SEVERITIES.has(text);

/**
 * Reads the body of ErrorResponse or NoticeResponse. A server that leaves out a field gets XX000, ERROR and an empty text: a broken error
 * is an error too.
 *
 * @throws WireError `malformed` when a text has no end
 */
export function parseErrorFields(body: Buffer): ErrorFields {
  const reader = new ByteReader(body);
  const fields = new Map<string, string>();
  while (reader.remaining > 0) {
    const type = reader.uint8();
    if (type === 0) break;
    fields.set(String.fromCharCode(type), reader.text());
  }
  const severity = fields.get('V') ?? fields.get('S');
  const code = fields.get('C');
  const [detail, hint] = [fields.get('D'), fields.get('H')];
  return {
    severity: isSeverity(severity) ? severity : 'ERROR',
    code: code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : 'XX000',
    message: fields.get('M') ?? '',
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    others: new Map([...fields].filter(([letter]) => !KNOWN.has(letter))),
  };
}

export const encodeError = (fields: ErrorFields): Buffer => encodeFields(SERVER.errorResponse, fields);
export const encodeNotice = (fields: ErrorFields): Buffer => encodeFields(SERVER.noticeResponse, fields);

function encodeFields(type: number, { severity, code, message, detail, hint, others }: ErrorFields): Buffer {
  const put = (writer: ByteWriter, letter: string, text: string): void => {
    writer.uint8(letter.charCodeAt(0)).text(text.replaceAll('\0', ' '));
  };
  return new ByteWriter()
    .message(type, (writer) => {
      put(writer, 'S', severity);
      put(writer, 'V', severity);
      put(writer, 'C', code);
      put(writer, 'M', message);
      if (detail !== undefined) put(writer, 'D', detail);
      if (hint !== undefined) put(writer, 'H', hint);
      for (const [letter, text] of others ?? []) put(writer, letter, text);
      writer.uint8(0);
    })
    .done();
}

const LETTERS = { V: 86, C: 67 } as const;

/** The SQLSTATE in a frame of an error or notice, header included, without reading the rest; XX000 when there is none. */
export function sqlStateOf(bytes: Buffer, start: number, end: number): string {
  for (let at = start + 5; at < end && bytes[at] !== 0; ) {
    const zero = bytes.indexOf(0, at + 1);
    if (zero === -1 || zero >= end) break;
    if (bytes[at] === LETTERS.C) return bytes.toString('latin1', at + 1, zero);
    at = zero + 1;
  }
  return 'XX000';
}
