import { defineErrors } from '@understudy/base';

/** The errors of this package. No text holds a secret. */
export const PairError = defineErrors('PairError', {
  PAIR_REFUSED: {
    meaning: 'The pair refused the request and says why. Nothing was changed.',
    retry: 'safe',
    next: '',
  },
  PAIR_UNDONE: {
    meaning: 'A change did not succeed within its deadline and was undone; the message says what is true now.',
    retry: 'safe',
    next: '',
  },
  PAIR_FAILED: {
    meaning: 'A change was begun and could not be ended or undone; the message says what is true now.',
    retry: 'safe',
    next: 'See: understudy pair show',
  },
  PAIR_NOT_RUNNING: {
    meaning: 'No process runs this pair now.',
    retry: 'unsafe',
    next: 'Start it with: understudy up --topology circular',
  },
  PAIR_STATE_INVALID: {
    meaning: "The pair's file cannot be read, or contradicts what was asked for.",
    retry: 'unsafe',
    next: 'Choose another folder, or remove this one with its data.',
  },
  PAIR_START_FAILED: {
    meaning: 'A server of the pair did not start, or replication between them did not.',
    retry: 'safe',
    next: "See the logs in the pair's folder.",
  },
  OFFSET_INPUT: {
    meaning: 'An address, a file or an option of the command is wrong.',
    retry: 'unsafe',
    next: 'See: understudy offset --help',
  },
  OFFSET_REFUSED: {
    meaning: 'A check found something that forbids it; everything found is named. Nothing was changed.',
    retry: 'safe',
    next: '',
  },
  OFFSET_UNDONE: {
    meaning: 'A step did not succeed within its deadline; what was done was undone.',
    retry: 'safe',
    next: 'Correct the cause and try again.',
  },
  OFFSET_FAILED: {
    meaning: 'A step failed and could not be undone; the message says what is true now.',
    retry: 'unsafe',
    next: 'Look at both servers now: understudy offset status',
  },
});

export type PairError = InstanceType<typeof PairError>;
export type PairErrorCode = PairError['code'];
