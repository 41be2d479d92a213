import { memoryTests } from './memory-tables.ts';

await memoryTests('mariadb-11.8');
