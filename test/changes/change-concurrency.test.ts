// Many users change the same rows at once: each change is applied once and whole, or ends as a conflict or denial, and undoing what was
// applied in reverse order restores every byte.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { addRole } from "../../src/members/member-statements.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { startDeployment } from "../support/change-deployment.ts";
import { allowChange } from "../support/change-rules.ts";
import { buildStockPolicy, listRecords, readStock, registerStockUsers, seedStock } from "../support/change-stock.ts";
import { members } from "../support/members.ts";

const USERS = 50;
const IDS = Array.from({ length: 20 }, (_, index) => index + 1);
const config = buildStockPolicy([
  allowChange("shop.stock", {
    columns: { state: {}, amount: { nullable: true }, note: { nullable: true } },
    maxRows: 20,
    approval: "none",
  }),
  allowChange("shop.stock", { columns: { region: {} }, maxRows: 20 }),
]);
const deployment = startDeployment(config);
const people = Array.from({ length: USERS }, (_, index) => ({
  subjectId: `user-${index}`,
  email: `user-${index}@harbor.example`,
  groups: [],
}));

const contextOf = (person: (typeof people)[number]) => ({
  identity: person,
  clientId: "c",
  call: {
    subject: resolveSubject(config.policy, person, { roles: ["support"], attributes: {} }),
    untrustedMs: null,
    pausedSources: new Map(),
  },
});

beforeAll(async () => {
  await seedStock();
  await registerStockUsers();
  for (const { subjectId, email } of people) {
    await members.applyChange(addRole(email, "support", { by: "operator", nowMs: Date.now() }));
    await members.registerSubject({ subjectId, email, groups: [], seenMs: Date.now() });
  }
});

interface Round {
  readonly person: (typeof people)[number];
  readonly id: string;
  readonly value: string;
}

/** Proposes the change of one user of the 20 rows, which sets a value of its own beyond 2^53. */
async function propose(person: (typeof people)[number], index: number, column: "amount" | "region"): Promise<Round> {
  const value = column === "amount" ? String(9_007_199_254_741_000n + BigInt(index)) : `region ${index}`;
  const values = column === "amount" ? { amount: value, note: null } : { region: value };
  const { change } = await deployment.changes.proposals.propose(contextOf(person), {
    dataset: "shop.stock",
    operation: "update",
    where: { id: IDS },
    values,
    reason: "r",
    key: undefined,
  });
  return { person, id: change.id, value };
}

const stateOf = async ({ id }: Pick<Round, "id">): Promise<string> =>
  (await deployment.openChange(id).read())?.state ?? "none";

/** Lists the applied ones in the order in which the database applied them: each left other images than the one before found. */
async function listAppliedInOrder(rounds: readonly Round[]): Promise<readonly Round[]> {
  const { results } = await env.EXAMPLE_DB.prepare(
    `SELECT b.change_id AS id, CAST(b.value AS TEXT) AS before, CAST(a.value AS TEXT) AS after FROM _gatehouse_image AS b
      JOIN _gatehouse_image AS a ON a.change_id = b.change_id AND a.phase = 'after' AND a.row = b.row AND a."column" = b."column"
      WHERE b.phase = 'before' AND b.row = 1 AND b."column" = ?`,
  )
    .bind(rounds[0]?.value.startsWith("region") ? "region" : "amount")
    .all<{ id: string; before: string; after: string }>();
  const mine = results.filter(({ id }) => rounds.some((round) => round.id === id));
  const next = new Map(mine.map((image) => [image.before, image]));
  let image = mine.find(({ before }) => !mine.some(({ after }) => after === before));
  const ordered: Round[] = [];
  while (image !== undefined) {
    const { id, after } = image;
    ordered.push(...rounds.filter((round) => round.id === id));
    image = next.get(after);
  }
  expect(ordered).toHaveLength(mine.length);
  return ordered;
}

/** Checks that every row has the value of the last applied change, and that each change has the records of its state. */
async function checkWhole(
  rounds: readonly Round[],
  states: readonly string[],
  column: string,
): Promise<readonly Round[]> {
  expect(new Set(states)).toEqual(new Set(states.filter((state) => ["applied", "conflict", "denied"].includes(state))));
  const applied = await listAppliedInOrder(rounds);
  expect(applied.length).toBeGreaterThan(0);
  expect(applied).toHaveLength(states.filter((state) => state === "applied").length);
  const { results } = await env.EXAMPLE_DB.prepare(`SELECT DISTINCT CAST(${column} AS TEXT) AS value FROM stock`).all();
  expect(results).toEqual([{ value: applied.at(-1)?.value }]);
  for (const [index, { person, id }] of rounds.entries()) {
    const records = (await listRecords(person.subjectId, id)).filter(
      ({ attempt }) => attempt.operation === "apply change",
    );
    expect(records).toHaveLength(1);
    expect(records[0]?.outcome.result === "answered").toBe(states[index] === "applied");
  }
  return applied;
}

async function undoAll(applied: readonly Round[], needsApproval: boolean): Promise<void> {
  for (const { person, id } of applied.toReversed()) {
    const { change } = await deployment.changes.proposals.proposeUndo(contextOf(person), { change: id, reason: "r" });
    if (needsApproval)
      await deployment
        .openChange(change.id)
        .decide({ approves: true, proof: change.proof, by: person, formClient: null });
    expect(await stateOf(change)).toBe("applied");
  }
}

describe("50 users who change the same 20 rows at once", () => {
  it("leave one value of one of them in all rows, and undoing restores every byte, when no person approves", async () => {
    const before = await readStock();
    const rounds = await Promise.all(people.map(async (person, index) => propose(person, index, "amount")));
    const applied = await checkWhole(rounds, await Promise.all(rounds.map(stateOf)), "amount");
    await undoAll(applied, false);
    expect(await readStock()).toBe(before);
  }, 60_000);

  it("apply exactly one of the changes that were previewed before any was approved", async () => {
    const before = await readStock();
    const rounds = await Promise.all(people.map(async (person, index) => propose(person, index, "region")));
    expect(new Set(await Promise.all(rounds.map(stateOf)))).toEqual(new Set(["proposed"]));
    await Promise.all(
      rounds.map(async ({ person, id }) => {
        const proof = (await deployment.openChange(id).read())?.proof ?? "";
        await deployment.openChange(id).decide({ approves: true, proof, by: person, formClient: null });
      }),
    );
    const states = await Promise.all(rounds.map(stateOf));
    expect(states.filter((state) => state === "applied")).toHaveLength(1);
    await undoAll(await checkWhole(rounds, states, "region"), true);
    expect(await readStock()).toBe(before);
  }, 60_000);
});
