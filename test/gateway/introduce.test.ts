// The questions on the start page: each can be answered from what the user sees, in any deployment, and reveals nothing else.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask, subject } from "../../src/config/define-gatehouse.ts";
import sample from "../../sample/gatehouse.config.ts";
import { generateSample } from "../../sample/generate.ts";
import { loadTables } from "../../sample/load.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { DATETIME, NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import type { Attributes, Rule } from "../support/policy-builder.ts";

/** One user with one role over the sample's tables, declared under another organisation. */
function world(rules: readonly Rule[], attributes: Attributes = {}) {
  return buildPolicy({
    organisation: { name: "Other", contact: "Other" },
    sources: {
      crm: {
        binding: "SHOP_DB",
        tables: {
          tickets: {
            id: key(NUMBER),
            customer_id: NUMBER,
            region: TEXT,
            status: { ...TEXT, untrusted: true },
            priority: TEXT,
            opened_at: DATETIME,
          },
          refunds: { id: key(NUMBER), amount_cents: NUMBER, reason: TEXT },
        },
      },
      wiki: { binding: "HANDBOOK", untrusted: true },
    },
    roles: { one: rules },
    members: { "ann@other.example": { roles: ["one"], attributes } },
  });
}

const introduce = async (config: ReturnType<typeof world>) =>
  gatewayFor(config).introduce(callerAs("ann@other.example"));

beforeAll(async () => {
  const data = generateSample();
  await loadTables(env.SHOP_DB, data.SHOP_DB);
  await loadTables(env.OPS_DB, data.OPS_DB);
  await env.HANDBOOK.put("policies/returns.md", "# Returns\n\nGoods can be returned within 30 days.");
});

describe("introduce", () => {
  it.each([
    ["analyst", ["Shop", "Operations", "Handbook"]],
    ["support", ["Shop", "Handbook"]],
    ["owner", ["Shop", "Operations", "Handbook"]],
  ])("gives the %s three questions that can be answered", async (account, titles) => {
    const gateway = gatewayFor(sample);
    const caller = callerAs(`${account}@harbor.example`);
    const { roles, sources, questions } = await gateway.introduce(caller);
    expect(roles.map(({ name }) => name)).toEqual([account]);
    expect(sources.map(({ title }) => title)).toEqual(titles);
    expect(new Set(questions).size).toBe(3);

    expect(questions).toContain("What does “Handbook” say about “Returns”?");
    for (const question of questions)
      expect(await countResults(gateway, caller, question), question).toBeGreaterThan(0);
  });

  it("gives a user without roles no question and no source", async () => {
    const answer = await gatewayFor(sample).introduce(callerAs("guest@harbor.example"));
    expect(answer).toEqual({ roles: [], sources: [], questions: [], allHidden: null });
  });

  it("names no column that is masked, hidden, an id, or written by outsiders", async () => {
    const { questions } = await introduce(
      world([allow("crm.tickets", { masks: { priority: mask.redact }, hidden: ["region", "opened_at"] })]),
    );
    expect(questions[0]).toBe("How many tickets are there?");
    expect(questions).toHaveLength(3);
    expect(questions.join(" ")).not.toMatch(/priority|region|opened|status|customer|\bid\b|refund/);
  });

  it("asks nothing about a table in which the user sees no row", async () => {
    const config = world(
      [allow("crm.tickets", { rows: { column: "region", op: "=", value: subject("region") } }), allow("crm.refunds")],
      { region: "nowhere" },
    );
    const { questions } = await introduce(config);
    expect(questions[0]).toBe("How many refunds are there, by reason?");
    expect(questions.join(" ")).not.toContain("tickets");
  });

  it("quotes no untrusted text, and asks nothing about a source without documents", async () => {
    const wiki = world([allow("wiki")]);
    expect((await introduce(wiki)).questions[0]).toBe("What are the documents of “Wiki” about?");
    await env.HANDBOOK.delete("policies/returns.md");
    expect((await introduce(wiki)).questions.join(" ")).not.toContain("Wiki");
    await env.HANDBOOK.put("policies/returns.md", "# Returns\n\nGoods can be returned within 30 days.");
  });

  it("writes one audit record with the sampled datasets and no rows", async () => {
    const caller = callerAs("analyst@harbor.example");
    await gatewayFor(sample).introduce(caller);
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId));
    const records = await ledger.listRecords(0, 10);
    expect(records).toHaveLength(1);
    expect(JSON.parse(records[0]?.body ?? "")).toMatchObject({
      attempt: { operation: "introduce" },
      outcome: {
        result: "answered",
        datasets: expect.arrayContaining(["shop.orders", "handbook"]),
        rules: expect.arrayContaining(["analyst/allow/read/handbook"]),
        rows: 0,
      },
    });
  });
});

type Gateway = ReturnType<typeof gatewayFor>;

/** Answers a question as an assistant would, from what the user may see alone, and counts the rows or search results. */
async function countResults(gateway: Gateway, caller: ReturnType<typeof callerAs>, question: string): Promise<number> {
  const documentQuestion = /^What does “(.+)” say about “(.+)”\?$/.exec(question);
  if (documentQuestion !== null) return (await gateway.search(caller, documentQuestion[2] ?? "", 5)).results.length;
  const tableQuestion =
    /^How many (?<things>.+) are there, by (?<column>.+)\?$/.exec(question) ??
    /^How has the number of (?<things>.+) changed from month to month, going by (?<column>.+)\?$/.exec(question) ??
    /^What are the lowest, the average and the highest (?<column>.+) of (?<things>.+)\?$/.exec(question);
  const { things = "", column = "" } = tableQuestion?.groups ?? {};
  const table = things.replaceAll(" ", "_");
  const overview = await gateway.describe(caller, undefined);
  const id = /"((?:shop|ops)\.[a-z_]+)"/g;
  const dataset = [...JSON.stringify(overview).matchAll(id)]
    .map((match) => match[1] ?? "")
    .find((name) => name.endsWith(`.${table}`));
  if (dataset === undefined) return 0;
  const name = column.replaceAll(" ", "_");
  const described = JSON.stringify(await gateway.describe(caller, dataset));
  expect(described).toMatch(new RegExp(`"name":"${name}","type":"[a-z]+","description":"[^"]*"(?!,"masked")`));
  const sql = `SELECT ${name}, count(*) FROM ${table} WHERE ${name} IS NOT NULL GROUP BY 1`;
  const [source = ""] = dataset.split(".");
  return (await gateway.query(caller, { target: { source, sql }, params: [], rowLimit: 10 })).rows.length;
}
