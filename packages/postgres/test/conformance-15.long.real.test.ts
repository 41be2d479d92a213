import { testConformance } from './conformance.ts';

await testConformance(15);
