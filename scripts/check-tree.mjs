/**
 * Checks that the documents speak of what exists: every relative link, every path in backticks, every line of the
 * README's tree; and that the tree names every package, source folder and top folder. Called by `pnpm lint`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// What is installed, built or cached is not in a clone.
const IGNORED = new Set([".git", "node_modules", "dist", "wasm", "coverage", ".built", ".weir-cache"]);
const files = walk("");
const folders = new Set(files.flatMap(parents));
const problems = [];

for (const file of files.filter((name) => name.endsWith(".md"))) checkDocument(file, readFileSync(join(root, file), "utf8"));
checkTree();
for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? "documents: every path exists" : `documents: ${problems.length} paths are wrong`);
process.exit(problems.length === 0 ? 0 : 1);

function checkDocument(file, text) {
  for (const [, target] of text.replaceAll(/```[^]*?```/g, "").matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^(https?:|mailto:|#)/.test(target)) continue;
    const path = relative(root, join(root, dirname(file), target.replace(/#.*$/, "")));
    if (!exists(path)) problems.push(`${file}: link to ${target}, which does not exist`);
  }
  for (const [, path] of text.matchAll(/`((?:packages|examples|bench|docs|fixtures|scripts|\.ci)\/[\w./-]+)`/g)) {
    if (!exists(path)) problems.push(`${file}: names ${path}, which does not exist`);
  }
}

function checkTree() {
  const tree = /```tree\n([^]*?)```/.exec(readFileSync(join(root, "README.md"), "utf8"))?.[1];
  if (tree === undefined) return problems.push("README.md: has no ```tree block");
  const named = treePaths(tree);
  for (const path of named) if (!exists(path)) problems.push(`README.md: the tree names ${path}, which does not exist`);
  for (const folder of folders) {
    const main = /^[^/]+$|^packages\/[^/]+$|^packages\/[^/]+\/src\/[^/]+$/.test(folder);
    if (main && !named.has(folder)) problems.push(`README.md: the tree lacks ${folder}; add a line`);
  }
}

/** Lines are `<two spaces per level><path>/   <what it is>`. */
function treePaths(tree) {
  const paths = new Set();
  const above = [];
  for (const line of tree.trimEnd().split("\n")) {
    const [, indent, name, about] = /^( *)(\S+)\/(?:\s{2,}(\S.*))?$/.exec(line) ?? [];
    if (name === undefined) problems.push(`README.md: the tree's line is no folder: ${line}`);
    const level = (indent ?? "").length / 2;
    above.splice(level, above.length, name);
    if (about === undefined && level > 0) problems.push(`README.md: the tree does not say what ${name} is`);
    paths.add(above.join("/"));
  }
  return paths;
}

function exists(path) {
  const clean = path.replace(/\/$/, "");
  return clean === "" || folders.has(clean) || files.includes(clean);
}

function parents(file) {
  const parts = file.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}

function walk(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !IGNORED.has(name))
    .flatMap((entry) => (entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)]));
}
