import { readHint } from '../levels/read-settings.ts';
import type { RouteSettings } from '../levels/settings.ts';
import { joinSettings } from '../statement/classification.ts';

/** What one pass over a text finds. */
export interface Lexed {
  /**
   * The text with each literal replaced by one of its kind and each comment by a space: texts of one shape have one class, where that
   * does not hang on a literal. Null when the pass is not certain where a token ends.
   */
  readonly shape: string | null;
  /** Hints in comments. */
  readonly settings: RouteSettings;
  /** Where a literal or comment ends is not known: hints behind it may have been missed. */
  readonly isBroken: boolean;
}

const TAB = 9;
const NEWLINE = 10;
const FORM_FEED = 12;
const RETURN = 13;
const SPACE = 32;
const DOUBLE_QUOTE = 34;
const DOLLAR = 36;
const QUOTE = 39;
const STAR = 42;
const DASH = 45;
const SLASH = 47;
const BACKSLASH = 92;

/**
 * Finds literals and comments as PostgreSQL's scanner does (`scan.l`), with `standard_conforming_strings` on. It does not check anything
 * else: what it calls certain is still parsed once for each shape.
 */
export function lex(text: string): Lexed {
  const scan = new Scan(text);
  scan.run();
  return { shape: scan.shape(), settings: scan.settings, isBroken: scan.isBroken };
}

class Scan {
  readonly #text: string;
  #out = '';
  /** From here on nothing was copied to the shape yet. */
  #copied = 0;
  #at = 0;
  #isCertain = true;
  isBroken = false;
  settings: RouteSettings = {};

  constructor(text: string) {
    this.#text = text;
  }

  shape(): string | null {
    return this.#isCertain ? this.#out + this.#text.slice(this.#copied) : null;
  }

  run(): void {
    const text = this.#text;
    while (this.#at < text.length && !this.isBroken) {
      const code = text.charCodeAt(this.#at);
      if (isIdentifierStart(code)) this.#word();
      else if (isDigit(code)) this.#number();
      else if (code === QUOTE) this.#string(this.#at, 'standard');
      else if (code === DOUBLE_QUOTE) this.#quoted();
      else if (code === DOLLAR) this.#dollar();
      else if (code === DASH && text.charCodeAt(this.#at + 1) === DASH) this.#lineComment();
      else if (code === SLASH && text.charCodeAt(this.#at + 1) === STAR) this.#blockComment();
      else if (code === 0) this.#giveUp();
      else this.#at += 1;
    }
  }

  #replace(from: number, to: number, placeholder: string): void {
    this.#out += this.#text.slice(this.#copied, from) + placeholder;
    this.#copied = to;
    this.#at = to;
  }

  /** An identifier, or the letters in front of a string: `E'…'`, `B'…'`, `X'…'`, `N'…'`, `U&'…'`. */
  #word(): void {
    const text = this.#text;
    const start = this.#at;
    let end = start + 1;
    while (end < text.length && isIdentifierPart(text.charCodeAt(end))) end += 1;
    this.#at = end;
    const next = text.charCodeAt(end);
    if (end === start + 1 && next === QUOTE) {
      const letter = text[start];
      if (letter === 'e' || letter === 'E') this.#string(start, 'escapes');
      else if (letter !== undefined && 'bBxXnN'.includes(letter)) this.#string(start, 'standard');
    } else if (end === start + 1 && next === 38 && (text[start] === 'u' || text[start] === 'U')) {
      const quote = text.charCodeAt(end + 1);
      if (quote === QUOTE || quote === DOUBLE_QUOTE) this.#isCertain = false;
    }
  }

  /** Whole and decimal numbers; forms that look like something else (`1e5`, `0x1F`, `1_000`, `12abc`) are left uncertain. */
  #number(): void {
    const text = this.#text;
    let end = this.#at + 1;
    while (end < text.length && isDigit(text.charCodeAt(end))) end += 1;
    if (text[end] === '.' && isDigit(text.charCodeAt(end + 1))) {
      end += 2;
      while (end < text.length && isDigit(text.charCodeAt(end))) end += 1;
    }
    const isOdd = isIdentifierPart(text.charCodeAt(end)) || text[end] === '.';
    if (isOdd) this.#isCertain = false;
    if (isOdd) this.#at = end;
    else this.#replace(this.#at, end, '0');
  }

  /** @param start where its prefix begins, which is kept out of the shape with it. */
  #string(start: number, mode: 'standard' | 'escapes'): void {
    const text = this.#text;
    let at = text.indexOf("'", start) + 1;
    for (;;) {
      const code = text.charCodeAt(at);
      if (Number.isNaN(code)) {
        this.#giveUp();
        return;
      }
      if (code === BACKSLASH && mode === 'escapes') at += 2;
      else if (code !== QUOTE) at += 1;
      else if (text.charCodeAt(at + 1) === QUOTE) at += 2;
      else break;
    }
    this.#replace(start, at + 1, mode === 'escapes' ? "E''" : "''");
    this.#refuseContinuation(mode);
  }

  /** A string goes on behind a line break with another quote, by the rules of its beginning: rare, so left uncertain. */
  #refuseContinuation(mode: 'standard' | 'escapes'): void {
    let at = this.#at;
    while (isSpace(this.#text.charCodeAt(at))) at += 1;
    const code = this.#text.charCodeAt(at);
    const isComment = code === DASH && this.#text.charCodeAt(at + 1) === DASH;
    if (at === this.#at || (code !== QUOTE && !isComment)) return;
    this.#isCertain = false;
    if (mode === 'escapes') this.#giveUp();
  }

  #quoted(): void {
    const text = this.#text;
    let at = this.#at + 1;
    for (;;) {
      const end = text.indexOf('"', at);
      if (end < 0) {
        this.#giveUp();
        return;
      }
      if (text.charCodeAt(end + 1) !== DOUBLE_QUOTE) {
        this.#at = end + 1;
        return;
      }
      at = end + 2;
    }
  }

  /** `$1` stays; `$$…$$` and `$tag$…$tag$` are strings. */
  #dollar(): void {
    const text = this.#text;
    let end = this.#at + 1;
    if (isDigit(text.charCodeAt(end))) {
      while (isDigit(text.charCodeAt(end))) end += 1;
      if (isIdentifierPart(text.charCodeAt(end))) this.#isCertain = false;
      this.#at = end;
      return;
    }
    if (isIdentifierStart(text.charCodeAt(end))) {
      while (isIdentifierPart(text.charCodeAt(end)) && text.charCodeAt(end) !== DOLLAR) end += 1;
    }
    if (text.charCodeAt(end) !== DOLLAR) {
      this.#giveUp();
      return;
    }
    const tag = text.slice(this.#at, end + 1);
    const close = text.indexOf(tag, end + 1);
    if (close < 0) {
      this.#giveUp();
      return;
    }
    this.#replace(this.#at, close + tag.length, "''");
  }

  #lineComment(): void {
    const text = this.#text;
    let end = this.#at + 2;
    while (end < text.length && text.charCodeAt(end) !== NEWLINE && text.charCodeAt(end) !== RETURN) end += 1;
    this.#hint(text.slice(this.#at + 2, end));
    this.#replace(this.#at, end, ' ');
  }

  /** Comments nest. */
  #blockComment(): void {
    const text = this.#text;
    const start = this.#at;
    let depth = 1;
    let at = start + 2;
    while (depth > 0) {
      if (at >= text.length) {
        this.#giveUp();
        return;
      }
      const pair = text.slice(at, at + 2);
      if (pair === '/*') depth += 1;
      if (pair === '*/') depth -= 1;
      at += pair === '/*' || pair === '*/' ? 2 : 1;
    }
    this.#hint(text.slice(start + 2, at - 2));
    this.#replace(start, at, ' ');
  }

  #hint(comment: string): void {
    if (comment.length < 2048 && /understudy/i.test(comment)) {
      this.settings = joinSettings(this.settings, readHint(comment));
    }
  }

  #giveUp(): void {
    this.#isCertain = false;
    this.isBroken = true;
  }
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const isSpace = (code: number): boolean =>
  code === SPACE || code === TAB || code === NEWLINE || code === RETURN || code === FORM_FEED || code === 11;
const isIdentifierStart = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95 || code >= 128;
const isIdentifierPart = (code: number): boolean => isIdentifierStart(code) || isDigit(code) || code === DOLLAR;
