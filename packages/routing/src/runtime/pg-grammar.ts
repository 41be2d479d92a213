import createModule from 'libpg-query/wasm/libpg-query.js';
import type { PgGrammar, PgNode, PgParse } from '../postgres/grammar.ts';

/** The part of the compiled module that is used. Pointers are offsets into its memory. */
interface PgQueryModule {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _wasm_parse_query_raw(text: number): number;
  _wasm_free_parse_result(result: number): void;
  lengthBytesUTF8(text: string): number;
  stringToUTF8(text: string, pointer: number, bytes: number): void;
  UTF8ToString(pointer: number): string;
  getValue(pointer: number, type: 'i32'): number;
}

/** It begins with 128 MiB of address space, of which it uses little. A parser whose memory had to grow beyond this is made anew. */
const MEMORY_MAX_BYTES = 192 * 1024 * 1024;

/** Loads PostgreSQL's grammar, compiled to WebAssembly. Rejects when it cannot be loaded: its file is missing or damaged. */
export async function loadPgGrammar(): Promise<PgGrammar> {
  return new WasmGrammar(await createModule<PgQueryModule>());
}

/**
 * One instance of the parser. A fault inside (the stack of a statement nested too deeply) leaves it in a state that nobody knows, so it is
 * replaced; until the new one is there, `parse` says so.
 */
class WasmGrammar implements PgGrammar {
  #module: PgQueryModule | null;

  constructor(module: PgQueryModule) {
    this.#module = module;
  }

  parse(text: string): PgParse {
    const module = this.#module;
    if (module === null) return { kind: 'unavailable' };
    // The parser takes a text that ends with a zero byte: behind one inside, nothing would be looked at.
    if (text.includes('\u0000')) return { kind: 'rejected', message: 'The text holds a zero byte.' };
    try {
      return parsed(module, text);
    } catch {
      this.#replace();
      return { kind: 'rejected', message: 'The text is nested too deeply to be parsed.' };
    } finally {
      if (module.HEAPU8.length > MEMORY_MAX_BYTES && this.#module === module) this.#replace();
    }
  }

  #replace(): void {
    this.#module = null;
    createModule<PgQueryModule>().then(
      (module) => {
        this.#module = module;
      },
      // It could be loaded once; without it everything goes to the primary, which is right, only slower.
      () => undefined,
    );
  }
}

function parsed(module: PgQueryModule, text: string): PgParse {
  const bytes = module.lengthBytesUTF8(text) + 1;
  const pointer = module._malloc(bytes);
  module.stringToUTF8(text, pointer, bytes);
  const result = module._wasm_parse_query_raw(pointer);
  const [tree, , error] = [0, 4, 8].map((offset) => module.getValue(result + offset, 'i32'));
  const read: PgParse = error
    ? { kind: 'rejected', message: module.UTF8ToString(module.getValue(error, 'i32')) }
    : { kind: 'tree', statements: statementsOf(module.UTF8ToString(tree ?? 0)) };
  module._free(pointer);
  module._wasm_free_parse_result(result);
  return read;
}

function statementsOf(json: string): readonly PgNode[] {
  const { stmts = [] } = JSON.parse(json) as { readonly stmts?: readonly { readonly stmt?: PgNode }[] };
  return stmts.flatMap(({ stmt }) => (stmt === undefined ? [] : [stmt]));
}
