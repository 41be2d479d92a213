// Goal: a circular pair of real mysql servers keeps what it promises, and says what it does not: offsets, one writer, switch, failover,
// conflicts named with their rows and repaired. Method: real servers and clients; conflicts made by transactions that overlap.
import { pairSuite } from './support/suite.ts';

pairSuite('mysql', '9.7');
