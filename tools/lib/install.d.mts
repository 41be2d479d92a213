export function ensureInstalled(root: string, options: { readonly dev: boolean }): Promise<void>;
export function missingPackages(root: string, options: { readonly dev: boolean }): string[];
