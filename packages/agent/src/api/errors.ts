/** Answers that are not a success: always JSON with code, message and next step. */

import type { ApiError } from './views.ts';

export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly status: number;
  readonly body: ApiError;

  constructor(status: number, body: ApiError) {
    super(body.message);
    this.status = status;
    this.body = body;
  }
}

export function problem(status: number, code: string, message: string, next: string): HttpProblem {
  return new HttpProblem(status, { code, message, next });
}
