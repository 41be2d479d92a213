import { defineErrors } from '@understudy/base';

/** Errors of the router as a program; nothing was done in any of these cases. What its clients get are PostgreSQL's own, with SQLSTATE. */
export const RouterError = defineErrors('RouterError', {
  CONFIG_INVALID: {
    meaning: 'The configuration is wrong.',
    retry: 'safe',
    next: 'Correct the named setting.',
  },
  FILE_UNREADABLE: {
    meaning: 'A file that the configuration names cannot be read.',
    retry: 'safe',
    next: 'Correct the path or its permissions.',
  },
  PORT_TAKEN: {
    meaning: 'Another program listens on the address.',
    retry: 'safe',
    next: 'Choose another one, or end that program.',
  },
  WORKER_LOST: {
    meaning: 'A worker process ended by itself. It is started again; its clients lost their connections.',
    retry: 'safe',
    next: '',
  },
});

export type RouterError = InstanceType<typeof RouterError>;
export type RouterErrorCode = RouterError['code'];
