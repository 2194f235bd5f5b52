/**
 * The URL under which a worker can import a module of ours. Node runs JavaScript only, so a module that is
 * being executed from `src/*.ts` (tests) is named by its built twin in `dist`, which mirrors `src`.
 */

/**
 * @param url a module's `import.meta.url`
 * @example new URL("./neighbour.js", builtModule(import.meta.url))
 */
export function builtModule(url: string | URL): string {
  const text = String(url);
  return text.endsWith(".ts") ? text.replace(/\/src\/(?!.*\/src\/)/, "/dist/").replace(/\.ts$/, ".js") : text;
}
