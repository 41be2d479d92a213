/** Which modules a source names in `import`, `export … from` and `import()`, types included. */
export function importsOf(text: string): string[] {
  const code = withoutComments(text);
  const patterns = [
    /\b(?:import|export)\s[^'"`;]*?\bfrom\s*(['"])([^'"\n]+)\1/g,
    /\bimport\s*(['"])([^'"\n]+)\1/g,
    /\bimport\s*\(\s*(['"])([^'"\n]+)\1/g,
  ];
  const names = patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[2] ?? ''));
  return [...new Set(names)].filter((name) => name !== '');
}

/** Longest first. A quoted string is matched so that a comment sign inside it is not taken for one, and is kept. */
const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

/**
 * A source with comments and template texts blanked. It is a scan, not a parser: a regular expression with a quote in it
 * may hide the rest of its line, never more.
 */
export function withoutComments(text: string): string {
  return text.replace(token, (found) => {
    if (found.startsWith("'") || found.startsWith('"')) return found;
    return found.replace(/[^\n]/g, ' ');
  });
}
