export type { Row, Session } from './sql/session.ts';
