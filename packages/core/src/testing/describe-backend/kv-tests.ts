/** Conformance: blocks can be shared, copied, taken out and put back; a broken one harms its own sequence only. */
import { DisposedError } from "../../errors/index.js";
import { ROW_NONFINITE, ROW_OK } from "../../contracts/index.js";
import { assert, type BackendTest, expectTokens, newTokens, NUM_NEW_TOKENS } from "./test-bench.js";

export const KV_TESTS: readonly BackendTest[] = [
  {
    name: "lets a fork share full blocks and write its own copy of the last one",
    async run(bench) {
      const alone = await bench.alone();
      const last = bench.cases.length - 1;
      const driver = bench.driver();
      const parent = driver.add(bench.cases[last]!.prompt_ids);
      await driver.decode([parent], 2);
      const child = await driver.fork(parent);
      // The child goes another way first; what it writes must not show in the parent.
      const stray = await driver.fork(parent);
      stray.ids[stray.ids.length - 1] = (stray.ids.at(-1)! + 1) % 100;
      await driver.decode([stray, parent, child], NUM_NEW_TOKENS - 2);
      expectTokens(newTokens(parent), alone[last]!, "the parent");
      expectTokens(newTokens(child), alone[last]!, "the child");
    },
  },
  {
    name: "copies blocks in order and whole",
    async run(bench) {
      const alone = await bench.alone();
      const driver = bench.driver();
      for (const [i, { prompt_ids }] of bench.cases.entries()) {
        const sequence = driver.add(prompt_ids);
        await driver.decode([sequence], 2);
        await bench.runner.copyBlocks(driver.relocate(sequence));
        await driver.decode([sequence], NUM_NEW_TOKENS - 2);
        expectTokens(newTokens(sequence), alone[i]!, `sequence ${i} after its blocks were copied`);
        driver.preempt(sequence);
      }
    },
  },
  {
    name: "takes blocks out and puts them back elsewhere",
    async run(bench) {
      const alone = await bench.alone();
      const last = bench.cases.length - 1;
      const driver = bench.driver();
      const sequence = driver.add(bench.cases[last]!.prompt_ids);
      await driver.decode([sequence], 2);
      const stored = new Uint8Array(sequence.blocks.length * bench.runner.blockBytes);
      await bench.runner.readBlocks(Int32Array.from(sequence.blocks), stored);
      // Whatever was there before is gone.
      await bench.runner.writeBlocks(Int32Array.from(sequence.blocks), new Uint8Array(stored.length));
      driver.relocate(sequence);
      await bench.runner.writeBlocks(Int32Array.from(sequence.blocks), stored);
      const again = new Uint8Array(stored.length);
      await bench.runner.readBlocks(Int32Array.from(sequence.blocks), again);
      assert(
        again.every((byte, i) => byte === stored[i]),
        "blocks read back differ from what was written",
      );
      await driver.decode([sequence], NUM_NEW_TOKENS - 2);
      expectTokens(newTokens(sequence), alone[last]!, "the sequence after its blocks came back");
    },
  },
  {
    name: "reports a row of NaN as such and leaves the other rows alone",
    async run(bench) {
      const alone = await bench.alone();
      const driver = bench.driver();
      const sequences = bench.cases.slice(0, 2).map(({ prompt_ids }) => driver.add(prompt_ids));
      const broken = driver.add(bench.cases.at(-1)!.prompt_ids);
      await driver.decode([sequences[0]!, broken, sequences[1]!], 1);
      // Bytes of ones are NaN in f32, f16 and bf16, and in the f32 scales of int8.
      const ones = new Uint8Array(bench.runner.blockBytes).fill(0xff);
      await bench.runner.writeBlocks(Int32Array.of(broken.blocks[0]!), ones);
      const output = await driver.step([sequences[0]!, broken, sequences[1]!].map((sequence) => ({ sequence })));
      assert(output.status[1] === ROW_NONFINITE, `the broken row has status ${output.status[1]}`);
      for (const [i, row] of [0, 2].entries()) {
        assert(output.status[row] === ROW_OK, `row ${row} has status ${output.status[row]}`);
        expectTokens([...newTokens(sequences[i]!), output.tokenIds[row]!], alone[i]!.slice(0, 2), `row ${row} beside a broken one`);
      }
      // The block goes back to the pool: its next owner writes it anew.
      await bench.runner.writeBlocks(Int32Array.of(broken.blocks[0]!), new Uint8Array(bench.runner.blockBytes));
    },
  },
  {
    name: "counts its memory",
    async run(bench) {
      const { weightBytes, kvReservedBytes, kvCommittedBytes } = bench.runner.memory();
      assert(
        [weightBytes, kvReservedBytes, kvCommittedBytes].every((bytes) => Number.isFinite(bytes) && bytes >= 0),
        "bytes must be counts",
      );
      assert(kvCommittedBytes <= kvReservedBytes, `${kvCommittedBytes} bytes of KV are in use, ${kvReservedBytes} reserved`);
    },
  },
  {
    name: "can be disposed twice and refuses steps afterwards",
    async run(bench) {
      const runner = await bench.loadRunner();
      await runner.dispose();
      await runner.dispose();
      const refusal = await runner.copyBlocks(new Int32Array(2)).then(
        () => undefined,
        (error: unknown) => error,
      );
      assert(DisposedError.isInstance(refusal) && refusal.code === "disposed", `a disposed runner answered ${String(refusal)}`);
    },
  },
];
