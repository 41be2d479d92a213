import {
  type Classification,
  type ClassReason,
  EMPTY_STATEMENT,
  type Isolation,
  joinSettings,
  mergeClassifications,
} from '../statement/classification.ts';
import { NO_CATALOG, type PgCatalog } from './catalog.ts';
import type { PgGrammar, PgNode } from './grammar.ts';
import { kindOf } from './grammar.ts';
import { type Lexed, lex } from './lexer.ts';
import type { ReadContext } from './reads.ts';
import { classifyStatement } from './statements.ts';

/** What of a session changes how its texts are read. */
export interface PgSessionFacts {
  /** The router tracks `standard_conforming_strings`; off hides where a literal ends. */
  readonly standardConformingStrings: boolean;
  /** Whether no character of `client_encoding` holds a quote or backslash as its second byte (not so: SJIS, BIG5, GBK, UHC, GB18030, JOHAB). */
  readonly isEncodingSafe: boolean;
  readonly defaultIsolation: Isolation;
}

export const DEFAULT_PG_SESSION: PgSessionFacts = {
  standardConformingStrings: true,
  isEncodingSafe: true,
  defaultIsolation: 'read committed',
};

export interface PgClassifierLimits {
  /** Longer texts are not parsed: a parse takes about 3 µs a character, and all sessions of a worker wait for it. */
  readonly parsedChars: number;
  /** Longer texts are not even looked through. */
  readonly scannedChars: number;
  readonly cachedShapes: number;
  readonly cachedChars: number;
  readonly learnedShapes: number;
}

export const DEFAULT_PG_LIMITS: PgClassifierLimits = {
  parsedChars: 16_384,
  scannedChars: 1_048_576,
  cachedShapes: 10_000,
  cachedChars: 8_388_608,
  learnedShapes: 1_000,
};

export interface PgClassifier {
  /** The class of a text: what it is, where it may go, what it does to its session. */
  classify(text: string, session: PgSessionFacts): Classification;
  /** A replica refused it: texts of its shape go to the primary from now on. */
  learn(text: string): void;
  /** New facts about the database: what was decided and learned with the old ones is forgotten. */
  setCatalog(catalog: PgCatalog): void;
}

/**
 * The classifier of one database: facts, and a cache with a bound. Texts that differ in literals only share an entry, so a statement is
 * parsed once for its shape.
 */
export function createPgClassifier(
  grammar: PgGrammar,
  catalog: PgCatalog = NO_CATALOG,
  limits: PgClassifierLimits = DEFAULT_PG_LIMITS,
): PgClassifier {
  return new CachedClassifier(grammar, catalog, limits);
}

class CachedClassifier implements PgClassifier {
  readonly #grammar: PgGrammar;
  readonly #limits: PgClassifierLimits;
  #catalog: PgCatalog;
  readonly #cache = new Map<string, Classification>();
  #cachedChars = 0;
  readonly #learned = new Set<string>();

  constructor(grammar: PgGrammar, catalog: PgCatalog, limits: PgClassifierLimits) {
    this.#grammar = grammar;
    this.#catalog = catalog;
    this.#limits = limits;
  }

  classify(text: string, session: PgSessionFacts): Classification {
    if (!session.standardConformingStrings || !session.isEncodingSafe) return onPrimary('lexing-uncertain');
    if (text.length > this.#limits.scannedChars) return onPrimary('too-long');
    const lexed = lex(text);
    const found = this.#found(text, lexed);
    const isSerializable = session.defaultIsolation === 'serializable' && found.node === 'any' && found.statements > 0;
    const classified = isSerializable ? { ...found, node: 'primary' as const, reason: 'serializable' as const } : found;
    return Object.keys(lexed.settings).length === 0
      ? classified
      : { ...classified, settings: joinSettings(classified.settings, lexed.settings) };
  }

  learn(text: string): void {
    const key = lex(text).shape ?? text;
    if (this.#learned.size >= this.#limits.learnedShapes) {
      const [oldest] = this.#learned;
      if (oldest !== undefined) this.#learned.delete(oldest);
    }
    this.#learned.add(key);
  }

  setCatalog(catalog: PgCatalog): void {
    this.#catalog = catalog;
    this.#cache.clear();
    this.#cachedChars = 0;
    this.#learned.clear();
  }

  #found(text: string, lexed: Lexed): Classification {
    if (lexed.isBroken) return this.#parsed(text, lexed, 'lexing-uncertain');
    const { shape } = lexed;
    const cached = (shape === null ? undefined : this.#cache.get(shape)) ?? this.#cache.get(text);
    const found = cached ?? this.#parsed(text, lexed, null);
    const isRefused = found.node === 'any' && this.#learned.size > 0 && this.#learned.has(shape ?? text);
    return isRefused ? { ...found, node: 'primary', reason: 'learned' } : found;
  }

  #parsed(text: string, lexed: Lexed, doubt: ClassReason | null): Classification {
    if (text.length > this.#limits.parsedChars) return onPrimary('too-long');
    const parsed = this.#grammar.parse(text);
    if (parsed.kind === 'unavailable') return onPrimary('no-grammar');
    // A newer server may know it: if it succeeds there, nobody here knows what it did.
    if (parsed.kind === 'rejected') return onPrimary('not-parsed');
    const context: ReadContext = {
      grammar: this.#grammar,
      catalog: this.#catalog,
      commonTables: new Set(),
      hangsOnLiteral: false,
      views: 0,
    };
    const found = classifyAll(parsed.statements, context);
    // Grammar and lexer disagree on where something ends: what the server reads may be neither.
    if (doubt !== null) return mergeClassifications([found, onPrimary(doubt)]);
    const isOfShape =
      lexed.shape !== null && !context.hangsOnLiteral && found.effects.length === 0 && parsed.statements.every(isPlain);
    this.#keep(isOfShape ? (lexed.shape ?? text) : text, found);
    return found;
  }

  /** The oldest entries go first: what is used all the time comes back at the cost of one parse. */
  #keep(key: string, found: Classification): void {
    if (key.length > this.#limits.cachedChars / 16) return;
    this.#cache.set(key, found);
    this.#cachedChars += key.length;
    for (const old of this.#cache.keys()) {
      if (this.#cache.size <= this.#limits.cachedShapes && this.#cachedChars <= this.#limits.cachedChars) break;
      this.#cache.delete(old);
      this.#cachedChars -= old.length;
    }
  }
}

const PLAIN = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
const isPlain = (statement: PgNode): boolean => PLAIN.has(kindOf(statement)?.kind ?? '');

function classifyAll(statements: readonly PgNode[], context: ReadContext): Classification {
  if (statements.length === 0) return EMPTY_STATEMENT;
  return mergeClassifications(statements.map((statement) => classifyStatement(statement, context)));
}

/** A text that nobody has read: it may have set anything. */
const onPrimary = (reason: ClassReason): Classification => ({
  ...EMPTY_STATEMENT,
  node: 'primary',
  reason,
  pins: ['untracked-setting'],
  mayWrite: true,
  knowledge: 'none',
  statements: 1,
});
