export { MEMORY_ENVIRONMENT } from './agent/memory.ts';
export { openApiDocument } from './api/openapi.ts';
export * from './client.ts';
export * from './run.ts';
