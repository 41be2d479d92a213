/** The module that libpg-query's own index loads; asked for directly, as that index cannot make a second instance. */
declare module 'libpg-query/wasm/libpg-query.js' {
  export default function createModule<Module>(): Promise<Module>;
}
