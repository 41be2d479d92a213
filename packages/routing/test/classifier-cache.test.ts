/**
 * Goal: the cache by shape changes speed only. Method: generated statements, whose cached class is compared with that of a classifier that
 * has seen nothing; and texts that try to look like another one.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createPgClassifier, DEFAULT_PG_LIMITS, DEFAULT_PG_SESSION, type PgGrammar } from '../src/index.ts';
import { lex } from '../src/postgres/lexer.ts';
import { CATALOG, GRAMMAR, newClassifier } from './support/catalog.ts';
import { aStatement, disguised } from './support/sql.ts';

/** Counts what is parsed. */
function counting(): { readonly grammar: PgGrammar; readonly count: () => number } {
  let parses = 0;
  const parse: PgGrammar['parse'] = (text) => {
    parses += 1;
    return GRAMMAR.parse(text);
  };
  return { grammar: { parse }, count: () => parses };
}

describe('the cache', () => {
  test('texts that differ in literals and comments are parsed once', () => {
    const { grammar, count } = counting();
    const classifier = createPgClassifier(grammar, CATALOG);
    for (let index = 0; index < 50; index += 1) {
      const text = `SELECT a /* ${index} */ FROM t WHERE a = ${index} AND b = 'x${index}' AND c = $q$${index}$q$`;
      assert.equal(classifier.classify(text, DEFAULT_PG_SESSION).node, 'any');
    }
    assert.equal(count(), 1);
  });

  test('a class that hangs on a literal is not shared', () => {
    const classifier = newClassifier();
    const node = (text: string) => classifier.classify(text, DEFAULT_PG_SESSION).node;
    assert.equal(node("SELECT current_setting('app.user')"), 'any');
    assert.equal(node("SELECT current_setting('port')"), 'primary');
    assert.equal(node('EXPLAIN (ANALYZE 0) DELETE FROM t'), 'primary');
    assert.equal(classifier.classify('EXPLAIN (ANALYZE 1) DELETE FROM t', DEFAULT_PG_SESSION).mayWrite, true);
    const effects = (text: string) => classifier.classify(text, DEFAULT_PG_SESSION).effects;
    assert.notDeepEqual(
      effects("SELECT set_config('a.b', '1', false)"),
      effects("SELECT set_config('a.b', '2', false)"),
    );
  });

  test('generated statements have one class, cached or not, in any disguise', () => {
    const cached = newClassifier();
    fc.assert(
      fc.property(aStatement, disguised, fc.nat(999), ({ text }, disguise, number) => {
        const wrapped = disguise(text.replaceAll('«n»', String(number)));
        const fresh = createPgClassifier(GRAMMAR, CATALOG).classify(wrapped, DEFAULT_PG_SESSION);
        assert.deepEqual(cached.classify(wrapped, DEFAULT_PG_SESSION), fresh, wrapped);
        assert.deepEqual(cached.classify(wrapped, DEFAULT_PG_SESSION), fresh, wrapped);
      }),
      { numRuns: 400 },
    );
  });

  test('its size is bounded', () => {
    const { grammar, count } = counting();
    const classifier = createPgClassifier(grammar, CATALOG, { ...DEFAULT_PG_LIMITS, cachedShapes: 3 });
    const read = (column: string) => classifier.classify(`SELECT ${column} FROM t`, DEFAULT_PG_SESSION);
    for (const column of ['a', 'b', 'c', 'd']) read(column);
    read('d');
    assert.equal(count(), 4);
    read('a');
    assert.equal(count(), 5);
  });

  test('new facts are not mixed with old decisions', () => {
    const classifier = newClassifier();
    assert.equal(classifier.classify('SELECT price(1)', DEFAULT_PG_SESSION).node, 'any');
    classifier.setCatalog({ ...CATALOG, functions: () => [] });
    assert.equal(classifier.classify('SELECT price(1)', DEFAULT_PG_SESSION).node, 'primary');
  });
});

describe('the session decides how a text is read', () => {
  const of = (text: string, facts: Partial<typeof DEFAULT_PG_SESSION>) =>
    newClassifier().classify(text, { ...DEFAULT_PG_SESSION, ...facts });

  test('backslashes that may escape, and encodings that may hide a quote, leave nothing certain', () => {
    assert.equal(of('SELECT 1', { standardConformingStrings: false }).reason, 'lexing-uncertain');
    assert.equal(of('SELECT 1', { isEncodingSafe: false }).reason, 'lexing-uncertain');
    assert.deepEqual(of('SELECT 1', { isEncodingSafe: false }).pins, ['untracked-setting']);
  });

  test('a replica offers no serializable transactions', () => {
    assert.equal(of('SELECT * FROM t', { defaultIsolation: 'serializable' }).reason, 'serializable');
  });
});

describe('bounds', () => {
  const long = (rows: number, value: string): string =>
    `INSERT INTO t VALUES ${Array(rows).fill(`(${value})`).join(', ')}`;

  test('a long text is not parsed, and pins: it may have set anything', () => {
    const { grammar, count } = counting();
    const classifier = createPgClassifier(grammar, CATALOG);
    const plain = classifier.classify(long(4000, '1, 2, 3'), DEFAULT_PG_SESSION);
    assert.deepEqual([plain.node, plain.reason, plain.pins], ['primary', 'too-long', ['untracked-setting']]);
    assert.equal(count(), 0);
  });

  test('nesting ends somewhere, and the parser is as good as before', () => {
    const deep = `SELECT ${'('.repeat(3000)}1${')'.repeat(3000)}`;
    for (const text of [
      deep,
      `SELECT ${'not '.repeat(2000)}true`,
      `SELECT 1${' + 1'.repeat(3000)}`,
      `SELECT ${'-'.repeat(4000)}`,
    ]) {
      newClassifier().classify(text, DEFAULT_PG_SESSION);
    }
    assert.equal(newClassifier().classify('SELECT a FROM t', DEFAULT_PG_SESSION).node, 'any');
  });
});

describe('what a replica refused', () => {
  test('goes to the primary from then on, whatever its literals, until the facts are new', () => {
    const classifier = newClassifier();
    const node = (value: number) => classifier.classify(`SELECT a FROM t WHERE a = ${value}`, DEFAULT_PG_SESSION).node;
    assert.equal(node(1), 'any');
    classifier.learn('SELECT a FROM t WHERE a = 1');
    assert.equal(node(2), 'primary');
    assert.equal(classifier.classify('SELECT b FROM t WHERE a = 1', DEFAULT_PG_SESSION).node, 'any');
    classifier.setCatalog(CATALOG);
    assert.equal(node(3), 'any');
  });
});

describe('the shape of a text', () => {
  const shape = (text: string) => lex(text).shape;

  test('literals are replaced, names and parameters are not', () => {
    assert.equal(
      shape("SELECT a1, $1, 'x''y', 12, 1.5, E'\\'', $$z$$ FROM \"t'1\" -- c"),
      "SELECT a1, $1, '', 0, 0, E'', '' FROM \"t'1\"  ",
    );
  });

  test('where a token ends is not guessed', () => {
    for (const text of [
      "SELECT 'a'\n'b'",
      "SELECT E'a'\n'b\\'c'",
      "SELECT U&'a'",
      'SELECT 1e5',
      'SELECT 0x1F',
      'SELECT 1_000',
      "SELECT 'open",
      '/* open',
      'SELECT "open',
      '$a$ open',
    ]) {
      assert.equal(shape(text), null, text);
    }
  });

  test('hints count wherever a comment may stand, and nowhere else', () => {
    const level = (text: string) => lex(text).settings.level?.kind;
    assert.equal(level('/* understudy: level=strong */ SELECT 1'), 'strong');
    assert.equal(level('SELECT 1e5 -- understudy: level=strong'), 'strong');
    assert.equal(level('SELECT 1 /* a /* understudy: level=strong */ */'), 'strong');
    assert.equal(level("SELECT '/* understudy: level=strong */'"), undefined);
    assert.equal(level('SELECT $$ -- understudy: level=strong\n$$'), undefined);
    assert.equal(level('SELECT "/* understudy: level=strong */"'), undefined);
  });

  test('a hint that may have been missed costs the replica', () => {
    const text = "SELECT E'a'\n'b' /* understudy: level=strong */";
    assert.deepEqual(newClassifier().classify(text, DEFAULT_PG_SESSION).node, 'primary');
  });

  test('two texts of one shape are parsed to the same tree but for literals', () => {
    const literal = fc.oneof(
      fc.nat().map(String),
      fc.string().map((text) => `'${text.replaceAll("'", "''").replaceAll('\u0000', '')}'`),
      fc.string().map((text) => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\u0000', '')}'`),
      fc.constantFrom("$$';--$$", '$a$ /* $a$', "''", "'--'", "'/*'"),
    );
    const withLiterals = (a: string, b: string) => `SELECT ${a}, x FROM t WHERE y = ${b} -- ${'z'}\n AND z`;
    fc.assert(
      fc.property(literal, literal, literal, literal, (a, b, c, d) => {
        const one = withLiterals(a, b);
        const other = withLiterals(c, d);
        if (shape(one) === null || shape(one) !== shape(other)) return;
        assert.equal(skeleton(one), skeleton(other), `${one}\n${other}`);
      }),
      { numRuns: 500 },
    );
  });
});

/** The tree without places and constants. */
function skeleton(text: string): string {
  const parsed = GRAMMAR.parse(text);
  return JSON.stringify(parsed, (key, value: unknown) =>
    key === 'location' || key.startsWith('rexpr_list') ? undefined : key === 'A_Const' ? 'literal' : value,
  );
}
