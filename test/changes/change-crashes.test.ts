// Faults between any two steps of a change: what the object calls fails, or its process ends, before or after the call did its work. After
// a restart the change was applied whole and is recorded, or not at all, and its state says which; it is never applied twice.
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { startDeployment } from "../support/change-deployment.ts";
import { FAULTS, createFaults } from "../support/change-faults.ts";
import type { FaultPoint } from "../support/change-faults.ts";
import { approve, createRehearsal, expectWhole, propose, proposeUndo, recover } from "../support/change-rounds.ts";
import type { RoundInput } from "../support/change-rounds.ts";
import { allowChange } from "../support/change-rules.ts";
import {
  buildStockPolicy,
  readStock,
  registerStockUsers,
  restoreRoles,
  seedStock,
  setRole,
} from "../support/change-stock.ts";

const faults = createFaults();
const config = buildStockPolicy([
  allowChange("shop.stock", {
    operations: ["insert", "update", "delete"],
    columns: { region: {}, state: {}, amount: { nullable: true } },
    maxRows: 20,
  }),
]);
const deployment = startDeployment(config, faults.wrap);

const CHANGES: readonly (readonly [string, RoundInput])[] = [
  [
    "an update",
    { operation: "update", where: { id: [1, 12, 18] }, values: { state: "closed", amount: "9007199254740995" } },
  ],
  ["an insert", { operation: "insert", values: { region: "west", state: "new" } }],
  ["a delete", { operation: "delete", where: { id: [2, 13] } }],
];

const rehearse = createRehearsal(deployment, config);

/** Lets a fault happen once, at the nth call of a point. */
function failOnce(point: FaultPoint, fault: ReturnType<typeof faults.choose>, nth = 1): void {
  let calls = 0;
  faults.choose = (called) => {
    if (called === point) calls += 1;
    return called === point && calls === nth ? fault : undefined;
  };
}

function heal(): void {
  faults.choose = () => undefined;
  faults.onApplied = async () => {};
}

beforeAll(async () => {
  await seedStock();
  await registerStockUsers();
});
beforeEach(seedStock);
afterEach(async () => {
  heal();
  vi.useRealTimers();
  await restoreRoles();
});

describe.each(CHANGES)("%s", (_title, input) => {
  const points: readonly (readonly [FaultPoint, number])[] = [
    ["authorize", 1],
    ["apply", 1],
    ["record", 1],
    ["publish", 1],
    ["publish", 2],
  ];
  const table = points.flatMap(([point, nth]) => FAULTS.map((fault) => ({ point, nth, fault })));

  it.each(table)("is applied once and whole when call $nth of $point $fault", async ({ point, nth, fault }) => {
    const rows = await rehearse(input);
    const id = await propose(deployment, config, input);
    failOnce(point, fault, nth);
    await faults.run(async () => approve(deployment, id));
    await recover(deployment, id);
    expect(await expectWhole(deployment, id, rows)).toBe("applied");
  });

  it.each(FAULTS)("is stored once by a repeated proposal when its preview %s", async (fault) => {
    const rows = await rehearse(input);
    failOnce("preview", fault);
    const key = crypto.randomUUID();
    await faults.run(async () => propose(deployment, config, { ...input, key }));
    heal();
    deployment.restartAll();
    const id = await propose(deployment, config, { ...input, key });
    expect(await expectWhole(deployment, id, rows)).toBe("proposed");
    await approve(deployment, id);
    expect(await expectWhole(deployment, id, rows)).toBe("applied");
  });

  it.each(table)("is taken back once and whole when call $nth of $point $fault", async ({ point, nth, fault }) => {
    const { before, after } = await rehearse(input);
    const id = await propose(deployment, config, input);
    await approve(deployment, id);
    const undoId = await proposeUndo(deployment, config, id);
    failOnce(point, fault, nth);
    await faults.run(async () => approve(deployment, undoId));
    await recover(deployment, undoId);
    expect(await expectWhole(deployment, undoId, { before: after, after: before })).toBe("applied");
  });
});

/** What keeps the second attempt from being made. */
const BARRIERS: readonly (readonly [string, () => Promise<unknown>])[] = [
  ["the requester has lost their role", async () => setRole("support", "support", false)],
  ["the time to apply it has passed", async () => vi.setSystemTime(Date.now() + 700_000)],
  [
    "the table has another form",
    async () => env.EXAMPLE_DB.prepare("CREATE TRIGGER spy AFTER UPDATE ON stock BEGIN SELECT 1; END").run(),
  ],
  ["another table is in its place", async () => env.EXAMPLE_DB.prepare("ALTER TABLE stock RENAME TO stock_old").run()],
];

describe("an update whose answer was lost", () => {
  const [, input] = CHANGES[0] ?? ["", { operation: "delete" }];
  const endedRows = async (title: string, rows: { before: string; after: string }) => {
    if (title === "another table is in its place")
      await env.EXAMPLE_DB.prepare("ALTER TABLE stock_old RENAME TO stock").run();
    return rows;
  };

  it.each(BARRIERS)("is known and recorded as applied when afterwards %s", async (title, raise) => {
    const rows = await rehearse(input);
    const id = await propose(deployment, config, input);
    failOnce("apply", "lost after");
    await approve(deployment, id);
    heal();
    await raise();
    await recover(deployment, id);
    expect(await expectWhole(deployment, id, await endedRows(title, rows))).toBe("applied");
  });

  it.each(BARRIERS)("is known as not applied, when it was not and afterwards %s", async (title, raise) => {
    const rows = await rehearse(input);
    const id = await propose(deployment, config, input);
    failOnce("apply", "lost before");
    await approve(deployment, id);
    heal();
    await raise();
    await recover(deployment, id);
    expect(await expectWhole(deployment, id, await endedRows(title, rows))).not.toBe("applied");
  });

  it("does not overwrite what another user wrote after it was applied", async () => {
    const id = await propose(deployment, config, input);
    faults.onApplied = async () => void (await env.EXAMPLE_DB.prepare("UPDATE stock SET state = 'theirs'").run());
    failOnce("apply", "lost after");
    await approve(deployment, id);
    heal();
    const theirs = await readStock();
    await recover(deployment, id);
    expect(await expectWhole(deployment, id, { before: "", after: theirs })).toBe("applied");
  });
});

describe("an insert that the database refuses on the second try", () => {
  it.each(["dies before", "dies after"] as const)("ends as failed when the process %s giving it up", async (fault) => {
    await env.EXAMPLE_DB.prepare("CREATE UNIQUE INDEX only_one ON stock (state) WHERE state = 'single'").run();
    await env.EXAMPLE_DB.prepare("UPDATE stock SET state = 'single' WHERE id = 5").run();
    const id = await propose(deployment, config, { operation: "insert", values: { region: "west", state: "single" } });
    const left: Partial<Record<FaultPoint, ReturnType<typeof faults.choose>>> = { apply: "lost before", settle: fault };
    faults.choose = (point) => {
      const chosen = left[point];
      delete left[point];
      return chosen;
    };
    await faults.run(async () => approve(deployment, id));
    await recover(deployment, id, faults.run);
    expect(left).toEqual({});
    expect(await expectWhole(deployment, id, { before: await readStock(), after: "" })).toBe("failed");
    expect((await deployment.openChange(id).read())?.endReason).toBe("unique");
  });
});
