// Random faults from a seed, several in the life of one change and its undo: whatever fails, in the end the change was applied whole and is
// recorded, or not at all, and its state says which.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startDeployment } from "../support/change-deployment.ts";
import { FAULTS, createFaults } from "../support/change-faults.ts";
import type { ChooseFault } from "../support/change-faults.ts";
import { approve, createRehearsal, expectWhole, propose, proposeUndo, recover } from "../support/change-rounds.ts";
import type { RoundInput } from "../support/change-rounds.ts";
import { allowChange } from "../support/change-rules.ts";
import { buildStockPolicy, registerStockUsers, restoreRoles, seedStock, setRole } from "../support/change-stock.ts";
import { createRandom, pick } from "../support/crafted-inputs.ts";

const ROUNDS = 200;
/** Rounds of one test, so that a failure names its seed. */
const ROUNDS_OF_SEED = 10;
const SEEDS = Array.from({ length: ROUNDS / ROUNDS_OF_SEED }, (_, index) => index + 1);

const faults = createFaults();
const config = buildStockPolicy([
  allowChange("shop.stock", {
    operations: ["insert", "update", "delete"],
    columns: { region: {}, state: {} },
    maxRows: 20,
  }),
]);
const deployment = startDeployment(config, faults.wrap);

beforeAll(async () => {
  await seedStock();
  await registerStockUsers();
});
afterEach(async () => {
  faults.choose = () => undefined;
  vi.useRealTimers();
  await restoreRoles();
});

/** Fails about every third call, and none any more after `count` faults. */
function failAtRandom(random: () => number, count: number): ChooseFault {
  let left = count;
  return (point) => {
    if (left === 0 || random() < 0.6) return undefined;
    left -= 1;
    if (point === "apply" && random() < 0.4) return pick(random, ["lost before", "lost after"] as const);
    return pick(random, FAULTS);
  };
}

const rehearse = createRehearsal(deployment, config);

/** The states in which the changes of each seed ended. */
const endsOfSeeds = new Map<number, readonly string[]>();
afterAll(() => {
  // A single seed may have met only faults that did not keep a change from being applied.
  if (endsOfSeeds.size < SEEDS.length) return;
  const ends = [...endsOfSeeds.values()].flat();
  expect(ends).toContain("applied");
  expect(ends).toContain("denied");
});

/** Runs one change to its end through faults, and expects it to be whole. Returns its state. */
async function runThroughFaults(
  random: () => number,
  id: string,
  rows: { readonly before: string; readonly after: string },
): Promise<string> {
  faults.choose = failAtRandom(random, 1 + Math.floor(random() * 3));
  await faults.run(async () => approve(deployment, id));
  if (random() < 0.2) await setRole("support", "support", false);
  await recover(deployment, id, faults.run);
  faults.choose = () => undefined;
  await recover(deployment, id);
  await restoreRoles();
  return expectWhole(deployment, id, rows);
}

const chooseInput = (random: () => number, round: number): RoundInput =>
  pick<RoundInput>(random, [
    { operation: "update", where: { id: [3, 14, 19] }, values: { state: `state ${round}` } },
    { operation: "insert", values: { region: "west", state: `state ${round}` } },
    { operation: "delete", where: { id: [4, 15] } },
  ]);

describe("random faults", () => {
  it.each(SEEDS)(
    "leave a change and its undo applied whole and recorded, or not at all, with seed %i",
    async (seed) => {
      const random = createRandom(seed);
      const ends: string[] = [];
      for (let round = 0; round < ROUNDS_OF_SEED / 2; round += 1) {
        await seedStock();
        const input = chooseInput(random, round);
        const { before, after } = await rehearse(input);
        const id = await propose(deployment, config, { ...input, key: crypto.randomUUID() });
        const end = await runThroughFaults(random, id, { before, after });
        ends.push(end);
        if (end !== "applied") continue;
        const undoId = await proposeUndo(deployment, config, id);
        ends.push(await runThroughFaults(random, undoId, { before: after, after: before }));
      }
      endsOfSeeds.set(seed, ends);
    },
    60_000,
  );
});
