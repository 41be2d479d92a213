import { randomUUID } from 'node:crypto';
import { visible, visibleLine } from '@understudy/core/visible';

/**
 * Our own escape sequences travel inside texts as marks that nobody else can write: they hold a random value of this process. So the
 * sink can tell them from the ones in names, messages and data of others, and shows the latter instead of sending them.
 */
const secret = randomUUID();
const escapeCharacter = '\u001b';
const markSource = `${escapeCharacter}\\{${secret}:([^}]*)\\}`;

/** A mark, with the sequence as its group. */
export const marks = new RegExp(markSource, 'g');
/** A mark or one letter. */
export const marksOrLetters = new RegExp(`${markSource}|.`, 'gsu');

/** The mark for an escape sequence of ours, given without its escape character: `[31m`. */
export function ownEscape(sequence: string): string {
  return `${escapeCharacter}{${secret}:${sequence}}`;
}

/** A text as it may go to a terminal: marks become sequences, everything else is visible. */
export function toTerminal(text: string): string {
  return mapParts(text, visible, (sequence) => `${escapeCharacter}${sequence}`);
}

/** The same text with its marks kept, and with nothing in it that would break a line: to be measured and cut. */
export function shownLine(text: string): string {
  return mapParts(text, visibleLine, ownEscape);
}

export function withoutMarks(text: string): string {
  return text.replace(marks, '');
}

function mapParts(text: string, onText: (part: string) => string, onMark: (sequence: string) => string): string {
  if (!text.includes(escapeCharacter)) return onText(text);
  // The sequences are the odd parts: `split` keeps what the group has found.
  return text
    .split(marks)
    .map((part, index) => (index % 2 === 0 ? onText(part) : onMark(part)))
    .join('');
}
