/**
 * An attention kernel that fails on purpose, around a good one. Loaded by URL in the runner's worker, as a user's is.
 * Options: base = the good kernel's URL; counts = [steps, lives] i32 in shared memory, counted over all lives of the
 * worker; failAt = steps that fail, or failInLife = the step of every life that fails; how = what happens.
 */
export async function createCpuAttention(config, { base, counts, failAt = [], failInLife = -1, how }) {
  const { createCpuAttention: createBase } = await import(base);
  const kernel = await createBase(config);
  Atomics.add(counts, 1, 1);
  let stepInLife = -1;
  let failing = false;
  return new Proxy(kernel, {
    get(target, name) {
      if (name === "begin") return begin;
      if (name === "run") return run;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

  function begin(input) {
    const step = Atomics.add(counts, 0, 1);
    stepInLife++;
    failing = failAt.includes(step) || stepInLife === failInLife;
    kernel.begin(input);
  }

  function run(layer) {
    // In the middle of a step: some layers have stored their keys and values, some have not.
    if (failing && layer === config.layers.length >> 1) FAULTS[how]();
    kernel.run(layer);
  }
}

const FAULTS = {
  throw() {
    throw new RangeError("the test kernel fails on purpose");
  },
  exit() {
    process.exit(7);
  },
  memory() {
    for (const hoard = []; ;) hoard.push(new Array(100_000).fill(hoard.length));
  },
  /** Nobody awaits it: the worker's uncaught exception. */
  uncaught() {
    setImmediate(() => {
      throw new Error("the test kernel fails later");
    });
  },
};
