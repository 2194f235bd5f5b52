/** The dependency rules of ARCHITECTURE.md, checked in CI by `pnpm deps`. */
const only = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });
const test = "\\.test\\.ts$";

module.exports = {
  forbidden: [
    only("no-cycles", "Rooms have one-way doors.", {}, { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } }),
    only("core-stands-alone", "core imports no other package of ours.", { path: "^packages/core/" }, { path: "^packages/(?!core/)" }),
    only("quant-imports-core", "quant knows core alone.", { path: "^packages/quant/" }, { path: "^packages/(?!quant/|core/)" }),
    only("ort-imports-core-and-quant", "ort knows no backend.", { path: "^packages/ort/" }, { path: "^packages/(?!ort/|core/|quant/)" }),
    only("backends-know-no-other-backend", "A backend imports no other backend.", { path: "^packages/backend-([^/]+)/" }, { path: "^packages/(backend-(?!$1)|cli|server)" }),
    only("scheduler-never-runs-a-model", "The scheduler imports neither engine nor runner.", { path: "^packages/core/src/(scheduler|kv)/", pathNot: test }, { path: "^packages/core/src/(engine|stream|testing|di)/" }),
    only("only-stream-imports-rxjs", "RxJS stays in core/src/stream.", { path: "^packages/core/src/(?!stream/)", pathNot: test }, { path: "node_modules/rxjs" }),
    only("only-di-imports-tsyringe", "tsyringe stays in core/src/di.", { path: "^packages/core/src/(?!di/)", pathNot: test }, { path: "node_modules/(tsyringe|reflect-metadata)" }),
    only("core-runs-in-a-browser", "node: modules only in core/src/node.", { path: "^packages/core/src/(?!node/)", pathNot: `${test}|^packages/core/src/testing/` }, { dependencyTypes: ["core"] }),
    only("no-deep-imports", "Across packages only what the export map names.", { path: "^(packages/([^/]+)|examples|bench)/" }, { path: "^packages/(?!$2/)[^/]+/src/(?!index\\.ts|node/index\\.ts|di/index\\.ts|testing/index\\.ts)" }),
    // The bin imports what a build makes.
    only("resolvable", "Every import resolves.", { pathNot: "^packages/cli/bin/" }, { couldNotResolve: true }),
  ],
  options: {
    doNotFollow: { path: "node_modules|^packages/[^/]+/dist/" },
    exclude: { path: "^packages/[^/]+/(dist|wasm)/|^packages/[^/]+/src/.*/assembly/|^bench/peers/" },
    // Type imports count as well. Read through TypeScript 6, which pnpm-workspace.yaml gives to dependency-cruiser.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["@weir/source", "import", "node", "default"],
      extensions: [".ts", ".js", ".mjs", ".d.ts"],
    },
  },
};
