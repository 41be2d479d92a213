import { testConformance } from './conformance.ts';

await testConformance('mysql-9.7');
