// A change from its proposal to its undo, through the Worker: tools over MCP, decisions by the review that the pages use.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { openChangeReview, openChanges } from "../../src/app/changes.ts";
import { openPolicySources, createIsolateResources } from "../../src/app/bindings.ts";
import { createWithAudit } from "../../src/audit/audit.ts";
import { newId } from "../../src/lib/ids.ts";
import sample from "../../sample/gatehouse.config.ts";
import { seedShop } from "../support/seed.ts";
import { callTool, tokenOf } from "../support/worker.ts";
import { subjectIdOf } from "../support/members.ts";

const { policy } = sample;
const changes = openChanges(sample, env, openPolicySources(sample, env, createIsolateResources()));
const review = openChangeReview(
  env,
  changes,
  createWithAudit({
    policy,
    openLedger: (ownerId) => env.LEDGER.get(env.LEDGER.idFromName(ownerId)),
    newId,
    waitUntil: () => {},
  }),
);

async function personOf(name: string) {
  const email = `${name}@harbor.example`;
  return { subjectId: await subjectIdOf(email), email, groups: [] };
}

async function call(token: string, name: string, args: Record<string, unknown>) {
  const { result } = await callTool(token, name, args);
  return result["structuredContent"] as Record<string, unknown>;
}

const ticket = async (id: number): Promise<unknown> =>
  env.SHOP_DB.prepare("SELECT status FROM tickets WHERE id = ?").bind(id).first("status");

let support = "";
beforeAll(async () => {
  await seedShop();
  support = await tokenOf("support");
  await tokenOf("reviewer");
});

const CLOSE = {
  dataset: "shop.tickets",
  action: "update",
  where: { id: 1 },
  values: { status: "closed" },
  reason: "It was answered.",
};

describe("a change that its requester confirms", () => {
  it("is applied after the approval and taken back by an undo", async () => {
    const proposed = await call(support, "change", CLOSE);
    expect(proposed).toMatchObject({
      state: "proposed",
      rows: 1,
      preview: [{ id: 1, status: { from: "open", to: "closed" } }],
    });
    expect(await ticket(1)).toBe("open");
    const id = String(proposed["change"]);
    // The same proposal is the same change.
    expect(proposed["note"]).not.toContain("Nothing new was proposed");
    const repeated = await call(support, "change", CLOSE);
    expect(repeated).toMatchObject({ change: id, note: expect.stringContaining("Nothing new was proposed") });
    const person = await personOf("support");
    const view = await review.view(person, id);
    expect(view).toMatchObject({ state: "proposed", mayDecide: { isAllowed: true }, reason: "It was answered." });
    expect(await review.list(person)).toMatchObject({ waiting: [{ id }] });
    expect(await review.decide(person, id, { approves: true, proof: view.proof })).toBe("applied");
    expect(await ticket(1)).toBe("closed");
    expect(await call(support, "fetch", { id })).toMatchObject({ metadata: { state: "applied" } });
    const applied = await review.view(person, id);
    const statusAt = applied.columns.findIndex(({ name }) => name === "status");
    expect(applied.rows.map(({ before, after }) => [before?.[statusAt], after?.[statusAt]])).toEqual([
      [
        { kind: "value", value: "open" },
        { kind: "value", value: "closed" },
      ],
    ]);
    const undo = await call(support, "undo", { change: id, reason: "It was the wrong one." });
    expect(undo).toMatchObject({ state: "proposed", rows: 1 });
    const undoId = String(undo["change"]);
    const undoView = await review.view(person, undoId);
    expect(undoView).toMatchObject({ undoes: id, mayDecide: { isAllowed: true }, unseenRows: 0 });
    expect(undoView.rows.map(({ before, after }) => [before?.[statusAt], after?.[statusAt]])).toEqual([
      [
        { kind: "value", value: "closed" },
        { kind: "value", value: "open" },
      ],
    ]);
    expect(await review.decide(person, undoId, { approves: true, proof: undoView.proof })).toBe("applied");
    expect(await ticket(1)).toBe("open");
  });

  it("changes nothing after a denial", async () => {
    const proposed = await call(support, "change", { ...CLOSE, values: { priority: "high" } });
    const id = String(proposed["change"]);
    const person = await personOf("support");
    const { proof } = await review.view(person, id);
    expect(await review.decide(person, id, { approves: false, proof })).toBe("denied");
    await expect(review.decide(person, id, { approves: true, proof })).rejects.toMatchObject({ code: "invalid_input" });
    expect(await env.SHOP_DB.prepare("SELECT priority FROM tickets WHERE id = 1").first("priority")).toBe("normal");
  });
});

describe("a change that a reviewer approves", () => {
  const REFUND = {
    dataset: "shop.refunds",
    action: "insert",
    values: { order_id: 1, amount_cents: 500, reason: "late", status: "requested", created_at: "2026-06-30 12:00:00" },
    reason: "The parcel came two weeks late.",
  };

  it("waits for the reviewer, whom its requester cannot be", async () => {
    const proposed = await call(support, "change", REFUND);
    expect(proposed).toMatchObject({ state: "proposed", rows: 1 });
    const id = String(proposed["change"]);
    const person = await personOf("support");
    const own = await review.view(person, id);
    expect(own.mayDecide).toMatchObject({ isAllowed: false });
    await expect(review.decide(person, id, { approves: true, proof: own.proof })).rejects.toMatchObject({
      code: "not_allowed",
    });
    const reviewer = await personOf("reviewer");
    expect(await review.list(reviewer)).toMatchObject({ waiting: [{ id }] });
    const view = await review.view(reviewer, id);
    expect(view).toMatchObject({ mayDecide: { isAllowed: true }, requester: "support@harbor.example" });
    expect(await review.decide(reviewer, id, { approves: true, proof: view.proof })).toBe("applied");
    expect(await env.SHOP_DB.prepare("SELECT count(*) AS n FROM refunds WHERE order_id = 1").first("n")).toBe(1);
    await expect(review.view(await personOf("analyst"), id)).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("a stored result", () => {
  it("says that data behind it has changed since", async () => {
    const { result } = await call(support, "query", { source: "shop", sql: "SELECT id, priority FROM tickets" });
    const unchanged = await call(support, "query", { source: "shop", sql: "SELECT id FROM products" });
    const changed = await call(support, "change", { ...CLOSE, values: { priority: "low" } });
    const person = await personOf("support");
    const { proof } = await review.view(person, String(changed["change"]));
    expect(await review.decide(person, String(changed["change"]), { approves: true, proof })).toBe("applied");
    expect(await call(support, "fetch", { id: result })).toMatchObject({
      metadata: { changed: [expect.stringMatching(/^shop\.tickets: 20/)] },
    });
    const { metadata } = await call(support, "fetch", { id: unchanged["result"] });
    expect(metadata).not.toHaveProperty("changed");
  });
});
