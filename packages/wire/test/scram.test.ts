// Goal: a proof is accepted when, and only when, it was made with the password, over this channel, for this login.
import assert from 'node:assert/strict';
import { createHash, pbkdf2Sync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checkServerFinal,
  encodeAuthentication,
  encodeSaslInitial,
  encodeSaslResponse,
  formatVerifier,
  keysOf,
  type LoginKeys,
  md5Answer,
  mechanismsOf,
  parseAuthentication,
  parseSaslInitial,
  parseSaslResponse,
  parseVerifier,
  preparedPassword,
  SCRAM,
  SCRAM_PLUS,
  scramClientChallenge,
  scramClientFinal,
  scramClientFirst,
  scramServerFinal,
  scramServerFirst,
  type Verifier,
  verifierOf,
  WireError,
} from '../src/postgres/index.ts';

function keysFor(password: string, salt: Buffer, iterations: number): LoginKeys {
  return keysOf(pbkdf2Sync(preparedPassword(password), salt, iterations, 32, 'sha256'), salt, iterations);
}

const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');

test('the example of RFC 7677', () => {
  const start = scramClientFirst([SCRAM], null, 'rOprNGfwEbeRWgbNEkqO');
  // PostgreSQL's clients send no name in the SCRAM messages; the example does, so its proof is made over its own text.
  assert.equal(start.clientFirst, 'n,,n=,r=rOprNGfwEbeRWgbNEkqO');
  const keys = keysFor('pencil', salt, 4096);
  const step = scramServerFirst(
    SCRAM,
    'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
    verifierOf(keys),
    { endPoint: null },
    '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  );
  assert.equal(
    step.serverFirst,
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  );
  const result = scramServerFinal(
    step,
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  );
  assert.equal(result.serverFinal, 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  assert.deepEqual(result.keys, keys);
});

interface Login {
  readonly clientKeys: LoginKeys;
  readonly verifier: Verifier;
  readonly clientEndPoint: Buffer | null;
  readonly serverEndPoint: Buffer | null;
}

/** A whole login; returns the keys that the server recovered. */
function login({ clientKeys, verifier, clientEndPoint, serverEndPoint }: Login): LoginKeys {
  const channel = { endPoint: serverEndPoint };
  const start = scramClientFirst(mechanismsOf(channel), clientEndPoint, 'abcdefghijklmnopqr');
  const server = scramServerFirst(start.mechanism, start.clientFirst, verifier, channel, 'ABCDEFGHIJKLMNOPQR');
  const client = scramClientFinal(scramClientChallenge(start, server.serverFirst), clientKeys);
  const result = scramServerFinal(server, client.clientFinal);
  checkServerFinal(client, result.serverFinal);
  return result.keys;
}

const endPoint = createHash('sha256').update('certificate').digest();
const other = createHash('sha256').update('certificate of somebody between').digest();

for (const [name, binding] of [
  ['without TLS', null],
  ['bound to the channel', endPoint],
] as const) {
  test(`${name}: both sides agree, and the recovered keys log in to the next server`, () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 30, unit: 'grapheme' }),
        fc.uint8Array({ minLength: 1, maxLength: 32 }),
        (password, bytes) => {
          const keys = keysFor(password, Buffer.from(bytes), 2);
          const sides = { verifier: verifierOf(keys), clientEndPoint: binding, serverEndPoint: binding };
          const recovered = login({ ...sides, clientKeys: keys });
          assert.deepEqual(recovered, keys);
          assert.deepEqual(login({ ...sides, clientKeys: recovered }), keys);
        },
      ),
      { numRuns: 100 },
    );
  });
}

const keys = keysFor('right', salt, 2);
const wrongLogins: readonly (readonly [string, Login])[] = [
  [
    'another password',
    { clientKeys: keysFor('wrong', salt, 2), verifier: verifierOf(keys), clientEndPoint: null, serverEndPoint: null },
  ],
  [
    'keys of another salt',
    {
      clientKeys: keysFor('right', Buffer.from('other'), 2),
      verifier: verifierOf(keys),
      clientEndPoint: null,
      serverEndPoint: null,
    },
  ],
  [
    'another certificate than the client saw',
    { clientKeys: keys, verifier: verifierOf(keys), clientEndPoint: other, serverEndPoint: endPoint },
  ],
];
for (const [name, sides] of wrongLogins) {
  test(`refused: ${name}`, () => {
    assert.throws(() => login(sides), { name: 'WireError', code: 'auth-failed' });
  });
}

test('refused: somebody took channel binding out of the offer', () => {
  const start = scramClientFirst([SCRAM], endPoint, 'abc');
  assert.equal(start.gs2Header, 'y,,');
  assert.throws(() => scramServerFirst(SCRAM, start.clientFirst, verifierOf(keys), { endPoint }, 'def'), {
    code: 'auth-failed',
  });
});

test('refused: a mechanism that was not offered, or that its header contradicts', () => {
  const first = (mechanism: string, text: string, bound: Buffer | null): void => {
    scramServerFirst(mechanism, text, verifierOf(keys), { endPoint: bound }, 'def');
  };
  assert.throws(() => first(SCRAM_PLUS, 'p=tls-server-end-point,,n=,r=abc', null), WireError);
  assert.throws(() => first('PLAIN', 'n,,n=,r=abc', null), WireError);
  assert.throws(() => first(SCRAM, 'p=tls-server-end-point,,n=,r=abc', endPoint), WireError);
  assert.throws(() => first(SCRAM_PLUS, 'n,,n=,r=abc', endPoint), WireError);
  assert.throws(() => first(SCRAM_PLUS, 'p=tls-unique,,n=,r=abc', endPoint), WireError);
  assert.throws(() => first(SCRAM, 'n,a=admin,n=,r=abc', null), WireError);
});

test('refused by the client: a server that does not have the verifier, or answers for another login', () => {
  const start = scramClientFirst([SCRAM], null, 'abcdef');
  const challenge = scramClientChallenge(start, `r=abcdefXYZ,s=${salt.toString('base64')},i=2`);
  const proof = scramClientFinal(challenge, keys);
  assert.throws(() => checkServerFinal(proof, `v=${Buffer.alloc(32).toString('base64')}`), { code: 'auth-failed' });
  assert.throws(() => checkServerFinal(proof, 'e=other-error'), { code: 'auth-failed' });
  assert.throws(() => scramClientChallenge(start, 'r=abcdef,s=AAAA,i=2'), { code: 'unexpected' });
  assert.throws(() => scramClientChallenge(start, 'r=zzz,s=AAAA,i=2'), { code: 'unexpected' });
  assert.throws(() => scramClientChallenge(start, 'r=abcdefX,s=AAAA,i=2000000000'), { code: 'malformed' });
});

test('any text is read or refused at each step', () => {
  const start = scramClientFirst([SCRAM], null, 'abc');
  const server = scramServerFirst(SCRAM, start.clientFirst, verifierOf(keys), { endPoint: null }, 'def');
  const attribute = fc.constantFrom(
    'n',
    'y',
    'p=',
    ',',
    'c=',
    'r=',
    's=',
    'i=',
    'v=',
    'biws',
    'abcdef',
    '=',
    '\u00e9',
    '1',
  );
  fc.assert(
    fc.property(fc.array(attribute, { maxLength: 12 }), (parts) => {
      const text = parts.join('');
      for (const read of [
        () => scramServerFirst(SCRAM, text, verifierOf(keys), { endPoint: null }, 'x'),
        () => scramServerFinal(server, text),
        () => scramClientChallenge(start, text),
        () => parseVerifier(text),
        () => parseSaslInitial(Buffer.from(text)),
        () => parseAuthentication(Buffer.from(text)),
      ]) {
        try {
          read();
        } catch (error) {
          assert.ok(error instanceof WireError, `${error}`);
        }
      }
    }),
    { numRuns: 3_000 },
  );
});

test('texts far too long are refused', () => {
  const long = `n,,n=,r=${'a'.repeat(5_000)}`;
  assert.throws(() => scramServerFirst(SCRAM, long, verifierOf(keys), { endPoint: null }, 'x'), WireError);
});

test('a verifier is read as PostgreSQL writes it, and an error has nothing of it', () => {
  const text = formatVerifier(verifierOf(keysFor('pencil', salt, 4096)));
  assert.match(text, /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$/);
  assert.equal(formatVerifier(parseVerifier(text)), text);
  assert.throws(
    () => parseVerifier(`${text}secret`),
    (error) => error instanceof WireError && !error.message.includes('secret'),
  );
});

test('passwords are prepared as RFC 4013 says', () => {
  assert.equal(preparedPassword('IX'), 'IX');
  assert.equal(preparedPassword('\u2168'), 'IX');
  assert.equal(preparedPassword('I\u00adX'), 'IX');
  assert.equal(preparedPassword('a\u00a0b'), 'a b');
  // Prohibited: used as it is.
  assert.equal(preparedPassword('\u0007\u2168'), '\u0007\u2168');
});

test('messages of the login are read back as written', () => {
  const questions = [
    { kind: 'ok' },
    { kind: 'cleartext' },
    { kind: 'md5', salt: Buffer.from([1, 2, 3, 4]) },
    { kind: 'sasl', mechanisms: [SCRAM_PLUS, SCRAM] },
    { kind: 'sasl-continue', text: 'r=1' },
    { kind: 'sasl-final', text: 'v=1' },
  ] as const;
  for (const question of questions) {
    assert.deepEqual(parseAuthentication(encodeAuthentication(question).subarray(5)), question);
  }
  assert.deepEqual(parseSaslInitial(encodeSaslInitial(SCRAM, 'n,,').subarray(5)), { mechanism: SCRAM, text: 'n,,' });
  assert.equal(parseSaslResponse(encodeSaslResponse('c=biws').subarray(5)), 'c=biws');
});

test('an answer to MD5', () => {
  const inner = createHash('md5').update('secretme').digest('hex');
  const expected = createHash('md5')
    .update(inner)
    .update(Buffer.from([1, 2, 3, 4]))
    .digest('hex');
  assert.equal(md5Answer('me', 'secret', Buffer.from([1, 2, 3, 4])), `md5${expected}`);
});
