import { testConformance } from './conformance.ts';

await testConformance('mariadb-11.8');
