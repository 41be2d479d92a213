import { memoryTests } from './memory-tables.ts';

await memoryTests('mariadb-10.11');
