/** Errors of the consensus store. */

import { defineErrors } from '@understudy/base';

/** The only error that a Store throws or reports. Only `transact` throws it with retry `unknown`. */
export const StoreError = defineErrors('StoreError', {
  'invalid-config': {
    meaning: 'The store configuration is wrong.',
    retry: 'unsafe',
    next: 'Correct the named setting.',
  },
  'invalid-argument': {
    meaning: 'A key, value, lease or deadline is outside the limits. A mistake in the calling code.',
    retry: 'unsafe',
    next: '',
  },
  'deadline-exceeded': {
    meaning: 'There was no answer within the deadline.',
    retry: 'safe',
    next: 'Look whether a member of the store is frozen or out of quorum.',
  },
  unavailable: {
    meaning: 'No endpoint of the store can be used (refused, unreachable, without leader, shutting down).',
    retry: 'safe',
    next: 'Check that a majority of its members runs and can be reached.',
  },
  'outcome-unknown': {
    meaning: 'The transaction was sent and its answer was lost.',
    retry: 'unknown',
    next: 'It may have been applied: read before deciding anything.',
  },
  'lease-expired': {
    meaning: 'A put named a lease that is gone. Nothing was written.',
    retry: 'unsafe',
    next: 'Grant a new lease.',
  },
  unauthorized: {
    meaning: 'The store refused user, password, token, certificate or permission.',
    retry: 'unsafe',
    next: 'Check store.username, store.passwordFile, store.tls and the permissions of the user on understudy/.',
  },
  'wrong-cluster': {
    meaning: 'This is not the store that was used before.',
    retry: 'unsafe',
    next: 'Point the configuration at the right one.',
  },
  'revision-went-back': {
    meaning: 'The store lost writes: it was restored from a backup or emptied.',
    retry: 'unsafe',
    next: 'Check what was lost, then restart the agents.',
  },
  'store-full': {
    meaning: 'The store has no space left (etcd quota or disk).',
    retry: 'unsafe',
    next: 'Free space; in etcd compact and disarm.',
  },
  'folder-missing': {
    meaning: 'The folder of the local store does not exist.',
    retry: 'unsafe',
    next: 'Create the folder or correct store.path.',
  },
  'permission-denied': {
    meaning: 'The file of the local store may not be read or written by this user.',
    retry: 'unsafe',
    next: 'All agents of the machine have to run as the owner of the file.',
  },
  'not-a-store': {
    meaning: 'The file is not an Understudy store, and was not touched.',
    retry: 'unsafe',
    next: 'Correct store.path.',
  },
  corrupt: {
    meaning: 'The store is damaged.',
    retry: 'unsafe',
    next: 'Stop the agents, move the file aside and start them again: they make a new store.',
  },
  'schema-too-new': {
    meaning: 'The file was made by a newer Understudy.',
    retry: 'unsafe',
    next: 'Upgrade Understudy.',
  },
  'unsupported-platform': {
    meaning: 'The local store needs Linux and a file system of this machine, not a network share.',
    retry: 'unsafe',
    next: 'Choose another path, or etcd.',
  },
  'io-error': {
    meaning: 'The operating system failed to read or write the file of the local store.',
    retry: 'unsafe',
    next: 'Look into the kernel log for disk errors.',
  },
  'protocol-error': {
    meaning: 'The answer is not one that etcd v3 gives.',
    retry: 'unsafe',
    next: 'Check that store.endpoints name the client URLs of etcd 3.4 or newer.',
  },
  'listener-failed': {
    meaning: 'onSnapshot of a watch threw. A mistake in the calling code; the watch goes on.',
    retry: 'unsafe',
    next: 'Correct the listener.',
  },
  closed: {
    meaning: 'The store was closed by this process.',
    retry: 'unsafe',
    next: '',
  },
});

export type StoreError = InstanceType<typeof StoreError>;
export type StoreErrorCode = StoreError['code'];
