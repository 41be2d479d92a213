import { defineErrors } from '@understudy/base';

/** The errors of this package. No text holds a secret. */
export const LocalError = defineErrors('LocalError', {
  CLUSTER_BUSY: {
    meaning: 'Another process runs a cluster in this folder.',
    retry: 'safe',
    next: 'End that one first, or choose another folder with --data-dir.',
  },
  FOLDER_UNUSABLE: {
    meaning: 'The cluster folder cannot be made, written, or reached by the user that runs the servers.',
    retry: 'safe',
    next: 'Correct its permissions, or choose another one with --data-dir.',
  },
  STATE_INVALID: {
    meaning: 'The state file of the folder cannot be read, or is of another version or another kind of cluster.',
    retry: 'unsafe',
    next: 'Choose another folder, or remove this one with its data.',
  },
  NO_FREE_PORT: {
    meaning: 'No free port was found on the loopback address.',
    retry: 'safe',
    next: 'End some servers, try again.',
  },
  STORE_FAILED: {
    meaning: 'The consensus store of the cluster did not start.',
    retry: 'safe',
    next: "Look into the logs in the cluster's folder.",
  },
  CERTIFICATES_FAILED: {
    meaning: "The cluster's certificates cannot be made, read or renewed.",
    retry: 'unsafe',
    next: 'Correct what the message names; they are made by: understudy up',
  },
  AGENT_FAILED: {
    meaning: 'An agent ended while the cluster was starting. The message has the end of its log.',
    retry: 'safe',
    next: 'Correct what its log names.',
  },
  START_TIMEOUT: {
    meaning: 'The cluster was not ready in time. The message says what each node was waiting for.',
    retry: 'safe',
    next: '',
  },
  STOP_TIMEOUT: {
    meaning: 'A process did not end although it was killed.',
    retry: 'safe',
    next: 'Look for a hanging disk.',
  },
  LOGIN_FAILED: {
    meaning: 'The account of the cluster could not be made in its database.',
    retry: 'safe',
    next: '',
  },
  NETWORK_FAILED: {
    meaning: 'Network namespaces could not be made.',
    retry: 'safe',
    next: 'They need root and the program "ip".',
  },
  API_FAILED: {
    meaning: "An agent's HTTP API did not answer, or refused.",
    retry: 'unsafe',
    next: '',
  },
});

export type LocalError = InstanceType<typeof LocalError>;
export type LocalErrorCode = LocalError['code'];
