/**
 * Finds `var x: T;` inside functions. In a loop such a variable is not zeroed on later iterations by Tint (seen in
 * Dawn, in Chromium and in ONNX Runtime's own copy), whatever the specification says: an initializer is required.
 */

/** @returns the offending declarations, as they are written */
export function findUninitializedVars(wgsl: string): string[] {
  const found: string[] = [];
  let depth = 0;
  const code = wgsl.replaceAll(/\/\/[^\n]*|\/\*[^]*?\*\//g, "");
  for (const [token] of code.matchAll(/[{}]|\bvar\b[^;={}]*[;=]/g)) {
    if (token === "{") depth++;
    else if (token === "}") depth--;
    else if (depth > 0 && token.endsWith(";")) found.push(token);
  }
  return found;
}
