// The same proposal several times at once, and undos of changes: each change is one change, and what was applied can be taken back.
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sha256Hex } from "../../src/lib/crypto.ts";
import { captureProposal } from "../support/change-captured.ts";
import { startDeployment } from "../support/change-deployment.ts";
import { createFaults } from "../support/change-faults.ts";
import { approve, propose, proposeUndo } from "../support/change-rounds.ts";
import type { RoundInput } from "../support/change-rounds.ts";
import { allowChange } from "../support/change-rules.ts";
import { buildStockPolicy, readCell, readStock, registerStockUsers, seedStock } from "../support/change-stock.ts";

const faults = createFaults();
const config = buildStockPolicy([
  allowChange("shop.stock", {
    columns: { note: {} },
    approval: "none",
    rows: { column: "region", op: "=", value: "south" },
    maxRows: 20,
  }),
  allowChange("shop.stock", {
    operations: ["insert", "update", "delete"],
    columns: { region: {}, note: { nullable: true }, state: {} },
    rows: { column: "region", op: "in", value: ["north", "south"] },
    maxRows: 20,
  }),
]);
const freeConfig = buildStockPolicy([allowChange("shop.stock", { columns: { note: {} }, approval: "none" })]);
const deployment = startDeployment(config, faults.wrap);
const free = startDeployment(freeConfig, faults.wrap);

beforeAll(async () => {
  await seedStock();
  await registerStockUsers();
});
beforeEach(seedStock);

async function run(input: RoundInput): Promise<string> {
  const id = await propose(deployment, config, input);
  await approve(deployment, id);
  expect((await deployment.openChange(id).read())?.state).toBe("applied");
  return id;
}

async function takeBack(id: string): Promise<string> {
  const undoId = await proposeUndo(deployment, config, id);
  await approve(deployment, undoId);
  expect((await deployment.openChange(undoId).read())?.state).toBe("applied");
  return undoId;
}

describe("a proposal that comes twice at once", () => {
  it("is previewed once, so that its images stay and it can be undone", async () => {
    const before = await readStock();
    const proposal = await captureProposal(free, freeConfig, {
      operation: "update",
      where: { id: 11 },
      values: { note: "x" },
    });
    const object = free.openChange(proposal.id);
    let previews = 0;
    faults.choose = (point) => {
      if (point === "preview") previews += 1;
      return undefined;
    };
    await Promise.all([object.propose(proposal), object.propose(proposal), object.propose(proposal)]);
    expect(previews).toBe(1);
    expect(await readCell(11, "note")).toBe("x");
    const undoId = await proposeUndo(free, freeConfig, proposal.id);
    expect((await free.openChange(undoId).read())?.state).toBe("applied");
    expect(await readStock()).toBe(before);
  });

  it("keeps the images of an applied change when a late preview of it arrives", async () => {
    const before = await readStock();
    const proposal = await captureProposal(free, freeConfig, {
      operation: "update",
      where: { id: 11 },
      values: { note: "x" },
    });
    await free.openChange(proposal.id).propose(proposal);
    await free.changes.tables.openTarget("shop")?.preview(proposal.planned);
    const undoId = await proposeUndo(free, freeConfig, proposal.id);
    expect((await free.openChange(undoId).read())?.state).toBe("applied");
    expect(await readStock()).toBe(before);
  });
});

describe("an undo of a change", () => {
  it.each([
    ["an update", { operation: "update", where: { id: [1, 11] }, values: { note: "x" } }],
    ["an insert", { operation: "insert", values: { region: "north" } }],
    ["a delete", { operation: "delete", where: { id: [1, 11, 18] } }],
  ] as const)("of an undo of %s restores what the change had made, or is refused", async (_title, input) => {
    const before = await readStock();
    const id = await run(input);
    const after = await readStock();
    const undoId = await takeBack(id);
    expect(await readStock()).toBe(before);
    let isRefused = false;
    try {
      await takeBack(undoId);
    } catch (error) {
      expect(error).toMatchObject({ code: "invalid_input" });
      isRefused = true;
    }
    expect(await readStock()).toBe(isRefused ? before : after);
  });

  it("is a conflict when what it would restore was deleted after its proposal", async () => {
    const id = await run({ operation: "delete", where: { id: [1, 11] } });
    const deleted = await readStock();
    const undoId = await proposeUndo(deployment, config, id);
    await env.EXAMPLE_DB.prepare("DELETE FROM _gatehouse_image WHERE change_id = ? AND phase <> 'preview'")
      .bind(id)
      .run();
    await approve(deployment, undoId);
    expect((await deployment.openChange(undoId).read())?.state).toBe("conflict");
    expect(await readStock()).toBe(deleted);
  });

  it("is allowed by the rule whose rows the change concerned, when another rule comes first", async () => {
    const before = await readStock();
    const id = await run({ operation: "update", where: { id: 11 }, values: { note: "x" } });
    await takeBack(id);
    expect(await readStock()).toBe(before);
  });
});

describe("a change that a trigger ignores", () => {
  it.each([
    ["an insert", "INSERT", "new", { operation: "insert", values: { region: "north", state: "quiet" } }],
    ["an update", "UPDATE", "new", { operation: "update", where: { id: [1, 11] }, values: { state: "quiet" } }],
    ["a delete", "DELETE", "old", { operation: "delete", where: { id: [1, 11] } }],
  ] as const)("changes nothing and is not applied as %s", async (_title, event, row, input) => {
    const condition = event === "INSERT" ? "1" : `${row}.id = 11`;
    const sql = `CREATE TRIGGER quiet BEFORE ${event} ON stock WHEN ${condition} BEGIN SELECT RAISE(IGNORE); END`;
    await env.EXAMPLE_DB.prepare(sql).run();
    const before = await readStock();
    const { planned } = await captureProposal(deployment, config, input);
    const dataset = { ...planned.plan.dataset, triggers: { quiet: await sha256Hex(sql) } };
    const change = { ...planned, plan: { ...planned.plan, dataset } };
    const target = deployment.changes.tables.openTarget("shop");
    if (target === undefined) expect.unreachable("the policy declares the source");
    const preview = await target.preview(change);
    if (preview.kind !== "previewed") expect.unreachable(preview.kind);
    expect(await target.apply({ ...change, rowCount: preview.rows })).toEqual({
      kind: "constraint",
      constraint: "other",
    });
    expect(await readStock()).toBe(before);
  });
});
