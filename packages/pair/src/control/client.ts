import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { reasonOf } from '@understudy/base';
import type { z } from 'zod';
import { PairError } from '../errors.ts';
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
  const { code, message, problem = message, next, retry } = answer.error;
  throw new PairError(PairError.isCode(code) ? code : 'PAIR_FAILED', problem, { next, retry });
}

function exchange(path: string, body: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      const next = 'Start it with: understudy up --topology circular';
      const message = `The process that runs this pair does not answer (${reasonOf(error)}).`;
      reject(new PairError('PAIR_NOT_RUNNING', message, { retry: 'unknown', next, cause: error }));
    };
    const call = request({ socketPath: path, method: 'POST', path: '/', timeout: timeoutMs }, (response) => {
      text(response).then(resolve, fail);
    });
    call.once('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    call.once('error', fail);
    call.end(body);
  });
}
