// Explains queries to an operator over a recorded database: the explanation shows the statement that a real read sends, and sends no
// statement that reads a row.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { openSources } from "../../src/app/open-sources.ts";
import { limitsSchema } from "../../src/config/limits.ts";
import { mask } from "../../src/config/define-gatehouse.ts";
import { explainQuery } from "../../src/gateway/query-explanation.ts";
import type { QueryExplanation } from "../../src/gateway/query-explanation.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import { createReadTrace } from "../../src/read/read-trace.ts";
import { KEEPING, TOKEN_KEY, createReader } from "../support/governed.ts";
import { listen } from "../support/listened.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const built = buildPolicy({
  tables: {
    parcels: { id: key(NUMBER), region: TEXT, note: TEXT },
    vanished: { id: key(NUMBER) },
  },
  roles: {
    all: [allow("shop.parcels"), allow("shop.vanished")],
    north: [allow("shop.parcels", { hidden: ["note"], rows: { column: "region", op: "=", value: "north" } })],
    masked: [allow("shop.parcels", { masks: { note: mask.token("note"), region: mask.redact } })],
  },
  members: { all: ["all"], north: ["north"], masked: ["masked"] },
});
const limits = { ...limitsSchema.parse({}), maxQuerySteps: 1_000_000 };
const config = { ...built, organisation: { name: "Test", contact: "Ann" }, limits };

/** Opens the policy's source over a recorded database. */
function open(trace?: ReturnType<typeof createReadTrace>) {
  const listened = listen(env.SHOP_DB);
  const log: string[] = [];
  const sources = openSources(
    config.policy,
    { ...env, SHOP_DB: listened.database },
    {
      maxQuerySteps: limits.maxQuerySteps,
      maskingTokenKey: TOKEN_KEY,
      log: (message) => log.push(message),
      ...KEEPING,
      trace,
    },
  );
  return { sources, log, sent: listened.sent };
}

async function explain(account: string, sql: string, source = "shop") {
  const trace = createReadTrace();
  const { sources, log, sent } = open(trace);
  const identity = { subjectId: account, email: `${account}@harbor.example`, groups: [] };
  const subject = resolveSubject(config.policy, identity, NO_MEMBER_RECORD);
  const explanation = await explainQuery({ config, sources, trace }, subject, { source, sql, params: [] });
  return { explanation, log, sent };
}

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE parcels (id INTEGER PRIMARY KEY, region TEXT, note TEXT)",
      "CREATE INDEX parcels_note ON parcels (note)",
      "INSERT INTO parcels SELECT value, iif(value % 2, 'north', 'south'), 'note ' || value FROM json_each(?1)",
    ].map((sql, index) =>
      index < 2
        ? env.SHOP_DB.prepare(sql)
        : env.SHOP_DB.prepare(sql).bind(JSON.stringify(Array.from({ length: 3000 }, (_value, row) => row))),
    ),
  );
});

const QUERIES: readonly (readonly [account: string, sql: string])[] = [
  ["all", "SELECT id, note FROM parcels ORDER BY note LIMIT 3"],
  ["north", "SELECT count(*) FROM parcels WHERE id / (id - 4) > 1"],
  ["north", "SELECT region FROM parcels WHERE json_extract(region, '$') = 1"],
  ["masked", "SELECT note, count(*) FROM parcels GROUP BY note"],
  ["masked", "SELECT min(note) FROM parcels WHERE region > 'a'"],
];

describe("an explanation", () => {
  it.each(QUERIES)("shows %s the statement that a real read sends: %s", async (account, sql) => {
    const { explanation } = await explain(account, sql);
    const { sources, sent } = open();
    const [source] = sources;
    if (source?.kind !== "d1") throw new Error("no D1 source");
    await createReader(config, source).outcome(account, sql);
    const real = sent.filter((text) => text.includes("guard_") && !text.startsWith("EXPLAIN"));
    const nonce = /guard_([0-9a-z]+)_0/i.exec(real[0] ?? "")?.[1] ?? "no nonce";
    const shown = explanation.attempts.at(-1)?.statement?.sql ?? "";
    // The real read asks for as many rows as the reader of these tests does.
    expect(shown.replace(/LIMIT 5001\b/, "LIMIT 101").replaceAll(/\d{3,}/g, "#")).toBe(
      (real[0] ?? "").replaceAll(nonce, "nonce").replaceAll(/\d{3,}/g, "#"),
    );
    expect(explanation.refusal).toBeNull();
  });

  it.each([
    ["fails on its first row", "SELECT abs(-9223372036854775807 - 1) FROM parcels"],
    ["has text as JSON", "SELECT json_extract(note, '$.a') FROM parcels"],
    ["takes long on each row", "SELECT length(replace(printf('%900000s', 'a'), ' ', note)) FROM parcels"],
  ])("passes a query that %s, and sends no statement that reads rows", async (_name, sql) => {
    const { explanation, sent } = await explain("all", sql);
    expect(explanation.refusal).toBeNull();
    const own = sent.filter((text) => text.includes("guard_"));
    expect(own.map((text) => text.split(" WITH")[0])).toEqual(["EXPLAIN", "EXPLAIN QUERY PLAN"]);
    const verdicts = explanation.attempts.flatMap((attempt) => attempt.verdicts);
    expect(verdicts.map(({ refusal }) => refusal).filter((refusal) => refusal !== null)).toEqual([]);
    expect(verdicts.at(-1)?.layer).toBe("program check");
  });

  it("says why the planner chose its form, and compares the work with the limit", async () => {
    const fenced = (await explain("north", "SELECT 1 FROM parcels WHERE json_extract(region, '$') = 1")).explanation;
    expect(fenced.attempts[0]?.plan).toMatchObject({ needsFence: true, form: { fenced: true }, maxSteps: 1_000_000 });
    const ordered = (await explain("masked", "SELECT note FROM parcels")).explanation;
    expect(ordered.attempts[0]?.plan).toMatchObject({ needsFence: false, form: { fenced: false } });
    expect(ordered.attempts[0]?.plan?.form.ordering).not.toBe("free");
    expect(ordered.attempts[0]?.statement?.plan.map(({ detail }) => detail).join("\n")).toContain("parcels");
    expect(ordered.attempts[0]?.statement?.instructions).toBeGreaterThan(10);
  });

  it("holds neither the masking key nor a nonce", async () => {
    const texts: string[] = [];
    for (let run = 0; run < 2; run += 1)
      texts.push(JSON.stringify((await explain("masked", "SELECT note FROM parcels")).explanation));
    expect(texts[0]).toBe(texts[1]);
    expect(texts[0]).not.toContain("a key of tests");
    expect(texts[0]).toContain("guard_nonce_0");
  });
});

type Step = NonNullable<QueryExplanation["refusal"]>["step"];

describe("a refusal", () => {
  it.each<[Step, string, string, string, string]>([
    ["statement", "all", "DELETE FROM parcels", "must be one statement that begins with SELECT", "shop"],
    ["source", "all", "SELECT 1", "There is no source", "stock"],
    ["parameters", "all", "SELECT ?", "has 1 parameter(s) but params has 0", "shop"],
    ["expansion limit", "all", buildDoublings(), "too complex", "shop"],
    ["planner", "all", "SELECT count(*) FROM parcels a, parcels b", "too much work", "shop"],
    ["authorizer", "north", "SELECT id FROM vanished", "There is no table vanished here", "shop"],
    ["authorizer", "north", "SELECT note FROM parcels", "note", "shop"],
    ["schema check", "all", "SELECT id FROM vanished", "does not match its declaration", "shop"],
  ])("names the step %s, for %s: %s", async (step, account, sql, message, source) => {
    const { explanation } = await explain(account, sql, source);
    expect(explanation.refusal?.step).toBe(step);
    expect(explanation.refusal?.message).toContain(message);
    const refusing = explanation.attempts.at(-1)?.verdicts.filter(({ refusal }) => refusal !== null) ?? [];
    expect(refusing.length).toBeLessThan(2);
  });

  it("by the planner has the estimate and the plan, and for the operator the difference of the schema", async () => {
    const { explanation } = await explain("all", "SELECT count(*) FROM parcels a, parcels b");
    const plan = explanation.attempts[0]?.plan;
    expect(2 ** (plan?.stepsLog2 ?? 0)).toBeGreaterThan(1_000_000);
    expect(plan?.lines.length).toBeGreaterThan(1);
    expect((await explain("all", "SELECT id FROM vanished")).log.join("\n")).toContain("no table of this name");
  });
});

/** A statement whose WITH queries SQLite would expand to thousands of SELECTs. */
function buildDoublings(): string {
  const queries = Array.from({ length: 14 }, (_value, at) => `q${at + 1} AS (SELECT * FROM q${at}, q${at} AS b${at})`);
  return `WITH q0 AS (SELECT id FROM parcels), ${queries.join(", ")} SELECT count(*) FROM q14`;
}
