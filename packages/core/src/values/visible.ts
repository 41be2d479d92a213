/**
 * What a terminal obeys or hides instead of showing: control characters (C0, DEL, C1), bidirectional and zero-width marks, separators
 * of lines and paragraphs, tags. Sources: ECMA-48, Unicode categories Cc, Cf, Zl, Zp and Default_Ignorable_Code_Point.
 */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * A text that a terminal shows as it is: what it would obey stands there as `\x1b` or `\u202e`. A line break and a tab stay: they are
 * the layout's. JSON stays the same JSON. A text that went through once does not change again.
 */
export function visible(text: string): string {
  return text.replace(hidden, (found) => (found === '\n' || found === '\t' ? found : escaped(found)));
}

/** The same for a text that is part of one line: a line break and a tab become visible too. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

/** From DEL on in the notation of JSON, which knows no `\x`; below, JSON has escaped by itself. */
function escaped(found: string): string {
  const units = Array.from({ length: found.length }, (_, index) => found.charCodeAt(index));
  const hex = (unit: number, digits: number): string => unit.toString(16).padStart(digits, '0');
  return units.map((unit) => (unit < 0x20 ? `\\x${hex(unit, 2)}` : `\\u${hex(unit, 4)}`)).join('');
}
