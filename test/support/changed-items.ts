// A table in a real D1 whose rows tests change: its policy, its rows, and short ways to propose, preview, apply and undo.
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { newId } from "../../src/lib/ids.ts";
import { planChange } from "../../src/policy/change-plan.ts";
import type { ChangeRequest } from "../../src/policy/change-plan.ts";
import { evaluateChange } from "../../src/policy/evaluate-change.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { TableDataset } from "../../src/policy/model.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import type { PlannedChange } from "../../src/read/change-target.ts";
import { CHANGE_TABLES_SQL } from "../../src/tables/change-journal.ts";
import { createD1Changes } from "../../src/tables/d1-changes.ts";
import { NUMBER, TEXT, buildPolicy, key } from "./policy-builder.ts";
import type { Rule } from "./policy-builder.ts";

export const database = env.EXAMPLE_DB;
export const target = createD1Changes({
  sourceName: "shop",
  database,
  now: () => 1000,
  qualifyDomain: String,
  fillMaskingTokens: async () => {},
  createNonce: newId,
});

export const READ = {
  action: "read",
  datasets: ["shop.items"],
  rows: { column: "region", op: "=", value: "north" },
} satisfies Rule;
export const CHANGE = {
  action: "change",
  datasets: ["shop.items"],
  operations: ["update"],
  columns: { state: { oneOf: ["open", "closed"] }, region: {}, amount: { nullable: true } },
  maxRows: 3,
  approval: "requester",
} satisfies Rule;
export const INSERT = {
  ...CHANGE,
  operations: ["insert"],
  columns: { id: {}, state: {}, region: {}, amount: { nullable: true }, code: { nullable: true } },
  maxRows: 1,
} satisfies Rule;
export const DELETE = { ...CHANGE, operations: ["delete"], columns: {} } satisfies Rule;

export function decide(rules: readonly Rule[]) {
  const config = buildPolicy({
    tables: { items: { id: key(NUMBER), region: TEXT, state: TEXT, amount: NUMBER, code: TEXT } },
    roles: { clerk: rules },
  });
  const { policy } = config;
  const [email = ""] = policy.members.map((member) => member.email);
  const subject = resolveSubject(policy, { subjectId: "s", email, groups: [] }, NO_MEMBER_RECORD);
  const dataset = policy.datasets.find((candidate): candidate is TableDataset => candidate.kind === "table");
  if (dataset === undefined) throw new Error("no table");
  const decision = evaluateChange(policy, subject, dataset);
  if (!decision.allowed) throw new Error(decision.reason);
  return decision;
}

export function plan(
  request: Partial<ChangeRequest> & Pick<ChangeRequest, "operation">,
  rules = [READ, CHANGE, INSERT, DELETE].slice(0),
) {
  const wanted = { insert: INSERT, update: CHANGE, delete: DELETE }[request.operation];
  const used = rules.filter(
    (rule) => rule.action === "read" || rule === wanted || ![CHANGE, INSERT, DELETE].includes(rule),
  );
  return planChange(decide(used), { where: {}, values: {}, ...request });
}

export function propose(request: Partial<ChangeRequest> & Pick<ChangeRequest, "operation">): PlannedChange {
  return {
    id: newId(),
    undoes: null,
    previewId: newId(),
    setColumns: Object.keys(request.values ?? {}),
    rowCount: null,
    plan: plan(request),
  };
}

export const undo = (change: PlannedChange): PlannedChange => ({
  id: newId(),
  undoes: change.id,
  previewId: newId(),
  setColumns: change.setColumns,
  rowCount: null,
  plan: { ...change.plan, where: [], values: [] },
});

export const UPDATE = { operation: "update", where: { id: 1 }, values: { state: "closed" } } as const;

export async function listItems(): Promise<unknown> {
  const { results } = await database
    .prepare(
      "SELECT rowid, id, region, state, quote(amount) AS amount, typeof(amount) AS type, hex(code) AS code FROM items",
    )
    .all();
  return results;
}

export async function countImages(): Promise<unknown> {
  return database.prepare("SELECT count(*) AS images FROM _gatehouse_image").first("images");
}

/** How many rows each preview had, by the id of its change. */
const rowCounts = new Map<string, number>();

export async function preview(change: PlannedChange) {
  const result = await target.preview(change);
  if (result.kind === "previewed") rowCounts.set(change.id, result.rows);
  return result;
}

export async function apply(change: PlannedChange) {
  return target.apply({ ...change, rowCount: rowCounts.get(change.id) ?? 1 });
}

export async function applied(change: PlannedChange) {
  expect(await preview(change)).toMatchObject({ kind: "previewed" });
  return apply(change);
}

/** Creates the table and its rows anew. */
export async function resetItems(): Promise<void> {
  const { results } = await database
    .prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY rowid DESC",
    )
    .all<{ name: string }>();
  for (const { name } of results.filter((table) => !table.name.startsWith("sqlite_")))
    await database.prepare(`DROP TABLE "${name}"`).run();
  await database.batch([
    ...CHANGE_TABLES_SQL.map((sql) => database.prepare(sql)),
    database.prepare(
      "CREATE TABLE items (id INTEGER PRIMARY KEY, region TEXT, state TEXT NOT NULL DEFAULT 'open', amount INTEGER, code TEXT UNIQUE)",
    ),
    database.prepare(
      `INSERT INTO items VALUES (1, 'north', 'open', 9007199254740993, 'a' || char(0) || 'b'), (2, 'north', 'open', 1.5, x'00ff'),
        (3, 'north', 'open', NULL, NULL), (4, 'south', 'open', 7, 'hidden'), (5, 'north', 'closed', 'text', 'five')`,
    ),
  ]);
}

/** Creates a trigger that the policy allows for this change. */
export async function allowTrigger(change: PlannedChange, name: string, sql: string): Promise<PlannedChange> {
  await database.prepare(sql).run();
  const dataset = { ...change.plan.dataset, triggers: { [name]: await digest(sql) } };
  return { ...change, plan: { ...change.plan, dataset } };
}

/** Hashes a text as policies do. */
export async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
