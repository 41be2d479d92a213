import { memoryTests } from './memory-tables.ts';

await memoryTests('mysql-9.7');
