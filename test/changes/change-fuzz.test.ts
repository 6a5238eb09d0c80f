// Crafted proposals against twin databases that differ only in what the user does not see: hidden rows, hidden columns and masked values.
// Both give the same answer to each proposal, byte for byte, so that no answer tells what is hidden.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { AppError } from "../../src/errors.ts";
import { proposeChange } from "../../src/gateway/change.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { CHANGE_TABLES_SQL } from "../../src/tables/change-journal.ts";
import { startDeployment } from "../support/change-deployment.ts";
import { allowChange } from "../support/change-rules.ts";
import { HIDDEN_VALUES, craftRecord, createRandom, pick } from "../support/crafted-inputs.ts";
import { DATE, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import { registerStockUsers, personOf } from "../support/change-stock.ts";

const CASES = 1000;
const BOOLEAN = { type: "boolean", description: "Flag" } as const;
const REAL = { type: "real", description: "Score" } as const;

const buildTwin = (binding: string) =>
  buildPolicy({
    sources: {
      shop: {
        binding,
        tables: {
          people: {
            id: key(NUMBER),
            name: TEXT,
            state: TEXT,
            joined: DATE,
            score: REAL,
            active: BOOLEAN,
            email: TEXT,
            amount: NUMBER,
            secret: TEXT,
            region: TEXT,
          },
        },
      },
    },
    limits: { openChanges: 100_000, openChangesPerDataset: 100_000 },
    roles: {
      support: [
        allow("shop.people", {
          rows: { column: "region", op: "=", value: "north" },
          hidden: ["secret", "region"],
          masks: { email: mask.email, amount: mask.null },
        }),
        allowChange("shop.people", {
          columns: {
            name: { maxLength: 100 },
            state: { oneOf: ["open", "closed"] },
            joined: { nullable: true },
            score: {
              min: 0,
              max: 1e9,
            },
            active: {},
            email: {},
            amount: {},
            secret: {},
            region: {},
          },
          maxRows: 2,
        }),
        allowChange("shop.people", { operations: ["insert", "delete"], columns: { name: {}, state: {} } }),
      ],
      analyst: [
        // Amounts are in clear on some of the rows only, and equal there.
        allow("shop.people", {
          rows: {
            all: [
              { column: "region", op: "=", value: "north" },
              { column: "score", op: ">", value: 2 },
            ],
          },
          hidden: ["secret", "region"],
          masks: { email: mask.email },
        }),
      ],
    },
    members: {},
  });

const twins = (["EXAMPLE_DB", "OPS_DB"] as const).map((binding, index) => {
  const config = buildTwin(binding);
  return { config, database: env[binding], index, deployment: startDeployment(config) };
});

async function plant(database: D1Database, index: number): Promise<void> {
  const at = (values: readonly (string | number)[]): string | number => values[index] ?? "";
  const visible = ["Ann", "Bob", "Cleo", "Ida"].map(
    (name, row) =>
      `(${row + 1}, '${name}', 'open', '2026-01-0${row + 1}', ${row + 0.5}, 1, '${at(HIDDEN_VALUES.masked)}', ${row < 2 ? at(HIDDEN_VALUES.amounts) : 500 + row},
        '${at(HIDDEN_VALUES.columns)}', 'north')`,
  );
  const hidden = Array.from(
    { length: 3 + 40 * index },
    (_, row) =>
      `(${100 + row + index}, '${at(HIDDEN_VALUES.rows)} ${row}', 'closed', NULL, 1, 0, 'x@y.example', 1, NULL, 'south')`,
  );
  await database.batch(
    [
      ...CHANGE_TABLES_SQL,
      "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE, state TEXT, joined TEXT, score REAL, active INTEGER, email TEXT, amount INTEGER, secret TEXT, region TEXT)",
      `INSERT INTO people VALUES ${[...visible, ...hidden].join(", ")}`,
    ].map((sql) => database.prepare(sql)),
  );
}

beforeAll(async () => {
  for (const { database, index } of twins) await plant(database, index);
  await registerStockUsers();
});

type Input = {
  readonly operation: "insert" | "update" | "delete";
  where: Record<string, unknown>;
  values: Record<string, unknown>;
};

/** Answers a proposal as the tool does, without ids and times. */
async function answer({ deployment, config }: (typeof twins)[number], input: Input): Promise<string> {
  const identity = await personOf("support");
  const subject = resolveSubject(config.policy, identity, { roles: ["support", "analyst"], attributes: {} });
  const call = { subject, untrustedMs: null, pausedSources: new Map() };
  const proposal = { ...input, dataset: "shop.people", reason: "r", key: crypto.randomUUID() };
  try {
    const audited = await proposeChange(deployment.changes, { identity, clientId: "c", call }, proposal);
    const { answer: shown, question } = audited.answer;
    return JSON.stringify(audited)
      .replaceAll(shown.change, "ID")
      .replaceAll(question?.proof ?? "no proof", "PROOF")
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
  } catch (error) {
    if (error instanceof AppError) return `${error.code} ${error.publicMessage}`;
    throw error;
  }
}

/** Answers all proposals on both twins, and lists those whose answers differ. */
async function findDifferences(
  inputs: readonly Input[],
): Promise<{ differing: unknown[]; kinds: Map<string, number> }> {
  const differing: unknown[] = [];
  const kinds = new Map<string, number>();
  const width = 20;
  for (let start = 0; start < inputs.length; start += width)
    await Promise.all(
      inputs.slice(start, start + width).map(async (input) => {
        const [first, second] = await Promise.all(twins.map(async (twin) => answer(twin, input)));
        if (first !== second) differing.push({ input, first, second });
        const kind = first?.startsWith("{") ? "proposed" : (first?.split(" ")[0] ?? "");
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        for (const value of [...HIDDEN_VALUES.columns, ...HIDDEN_VALUES.masked])
          if (first?.includes(value) && !JSON.stringify(input).includes(value)) differing.push({ input, first });
      }),
    );
  return { differing, kinds };
}

describe("twin databases that differ only in what the user does not see", () => {
  it(`give the same answer to ${CASES} proposals with a crafted where`, async () => {
    const random = createRandom(1);
    const inputs = Array.from({ length: CASES }, (): Input => {
      const where = craftRecord(random);
      return random() < 0.7
        ? { operation: "update", where, values: { state: "closed" } }
        : { operation: "delete", where, values: {} };
    });
    const { differing, kinds } = await findDifferences(inputs);
    expect(differing).toEqual([]);
    for (const kind of ["proposed", "not_found", "invalid_input", "not_allowed"])
      expect([...kinds.keys()]).toContain(kind);
  }, 120_000);

  it(`give the same answer to ${CASES} proposals with crafted values`, async () => {
    const random = createRandom(2);
    const inputs = Array.from({ length: CASES }, (): Input => {
      const values = craftRecord(random);
      return random() < 0.7
        ? { operation: "update", where: { id: pick(random, [1, 2, [1, 2], 100, 101]) }, values }
        : { operation: "insert", where: {}, values };
    });
    const { differing, kinds } = await findDifferences(inputs);
    expect(differing).toEqual([]);
    for (const kind of ["proposed", "invalid_input", "not_allowed"]) expect([...kinds.keys()]).toContain(kind);
  }, 120_000);
});
