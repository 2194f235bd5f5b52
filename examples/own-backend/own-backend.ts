/**
 * Your own backend: a bigram model. It counts which token follows which in a text and draws from that. The null
 * backend keeps the (fake) KV cache and answers every call; only the tokens are ours.
 */
import { CounterRandom, createEngine, type Backend, type ModelInput, type ModelOutput, type ModelRunner } from "@weir/core";
import { openModelFolder } from "@weir/core/node";
import { nullBackend } from "@weir/core/testing";

const TEXT = `To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer the slings and arrows of
outrageous fortune, or to take arms against a sea of troubles, and by opposing end them. To die, to sleep, no more; and by a
sleep to say we end the heart-ache and the thousand natural shocks that flesh is heir to: 'tis a consummation devoutly to be
wished. To die, to sleep; to sleep, perchance to dream: ay, there's the rub; for in that sleep of death what dreams may come.`;

class BigramBackend implements Backend {
  readonly name = "bigram";
  readonly #inner = nullBackend();
  readonly #followers = new Map<number, number[]>();
  readonly #random = new CounterRandom();
  readonly apiVersion = this.#inner.apiVersion;
  readonly capabilities = this.#inner.capabilities;

  constructor(ids: Int32Array) {
    for (let i = 1; i < ids.length; i++) {
      const followers = this.#followers.get(ids[i - 1]!);
      if (followers) followers.push(ids[i]!);
      else this.#followers.set(ids[i - 1]!, [ids[i]!]);
    }
  }

  async loadModel(...args: Parameters<Backend["loadModel"]>): Promise<ModelRunner> {
    const runner = await this.#inner.loadModel(...args);
    const execute = runner.execute.bind(runner);
    return Object.assign(runner, { execute: async (input: ModelInput) => this.#draw(input, await execute(input)) });
  }

  /** One token per row, after the newest of its sequence; seeded by request and position, so the batch does not matter. */
  #draw(input: ModelInput, output: ModelOutput): ModelOutput {
    const { seed, counter } = input.sampling;
    for (let row = 0; row < input.numRows; row++) {
      const followers = this.#followers.get(input.inputIds[input.logitsIndices[row]!]!) ?? [0];
      const u = this.#random.uniform(seed[2 * row]!, seed[2 * row + 1]!, counter[row]!);
      output.tokenIds[row] = followers[Math.floor(u * followers.length)]!;
    }
    return output;
  }

  dispose = (): Promise<void> => this.#inner.dispose();
}

const model = await openModelFolder("packages/cli/model/tiny-shakespeare");
await using engine = await createEngine({ model, backend: new BigramBackend(Int32Array.from(model.tokenizer!.encode(TEXT))) });
const texts = [1, 2, 3].map((seed) => engine.generate("To", { maxTokens: 24, temperature: 1, seed }).text());
for (const text of await Promise.all(texts)) console.log(`To${text}\n---`);
await model.weights.close();
