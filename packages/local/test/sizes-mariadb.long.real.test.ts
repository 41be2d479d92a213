// Goal: clusters of MariaDB of two, three and five nodes outlive their primaries, also when several go in a row and nobody has
// written in between. Method: real clusters; a row that was acknowledged before is read on every node at the end.
import { testSizes } from './sizes.ts';

testSizes('mariadb');
