/** What routing is handed from outside: the two things that are no pure values. */
export { hmacSha256 } from './hmac.ts';
export { loadPgGrammar } from './pg-grammar.ts';
