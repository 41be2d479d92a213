// Goal: two mysql servers without GTIDs are set up, watched and exchanged by file and offset, exactly and with a way back. Method: real
// servers as anybody would run them, a writer during the copy, a lock that keeps the replica back.
import { offsetSuite } from './support/offset-suite.ts';

offsetSuite('mysql', '9.7');
