/** What the guard's process loads of core, and nothing else: it has to start fast and stay small. */

export * from './frozen-agent.ts';
export * from './kill-order.ts';
