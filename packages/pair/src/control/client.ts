import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { z } from 'zod';
import { PairError, type PairErrorCode, pairErrorCodes, reasonOf } from '../errors.ts';
import { answerSchema, type PairRequest } from './protocol.ts';

/**
 * Asks the process that runs a pair.
 *
 * @param path of its socket. @param schema what the answer must be.
 * @throws PairError whatever that process refused with; `PAIR_NOT_RUNNING` when there is none.
 */
export async function askPair<T>(path: string, body: PairRequest, schema: z.ZodType<T>, timeoutMs: number): Promise<T> {
  const answer = answerSchema.parse(JSON.parse(await exchange(path, JSON.stringify(body), timeoutMs)));
  if ('value' in answer) return schema.parse(answer.value);
  const { code, message, retry } = answer.error;
  throw new PairError(isCode(code) ? code : 'PAIR_FAILED', message, retry);
}

const isCode = (code: string): code is PairErrorCode => Object.hasOwn(pairErrorCodes, code);

function exchange(path: string, body: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      const next = 'Start it with: understudy up --topology circular';
      const message = `The process that runs this pair does not answer (${reasonOf(error)}). ${next}`;
      reject(new PairError('PAIR_NOT_RUNNING', message, 'unknown', { cause: error }));
    };
    const call = request({ socketPath: path, method: 'POST', path: '/', timeout: timeoutMs }, (response) => {
      text(response).then(resolve, fail);
    });
    call.once('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    call.once('error', fail);
    call.end(body);
  });
}
