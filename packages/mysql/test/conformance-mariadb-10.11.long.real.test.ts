import { testConformance } from './conformance.ts';

await testConformance('mariadb-10.11');
