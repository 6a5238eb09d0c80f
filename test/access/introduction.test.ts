// The start page's questions: answerable from what the person sees, whoever it is and whatever the deployment, and telling of
// nothing else.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, mask, subject } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import sample from "../../sample/gatehouse.config.ts";
import { generateSample } from "../../sample/generate.ts";
import { loadTables } from "../../sample/load.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;
const WHEN = { type: "datetime", description: "When" } as const;

/** One person with one role over tables of the sample's databases, declared as if they were somebody else's. */
function world(rules: GatehouseInput["roles"][string]["rules"], member: { region?: string } = {}) {
  return defineGatehouse({
    organisation: { name: "Other", contact: "Other" },
    sources: {
      crm: {
        kind: "d1",
        binding: "SHOP_DB",
        title: "The CRM",
        description: "C",
        tables: {
          tickets: {
            description: "T",
            key: "id",
            columns: {
              id: NUMBER,
              customer_id: NUMBER,
              region: TEXT,
              status: { ...TEXT, untrusted: true },
              priority: TEXT,
              opened_at: WHEN,
            },
          },
          refunds: { description: "R", key: "id", columns: { id: NUMBER, amount_cents: NUMBER, reason: TEXT } },
        },
      },
      wiki: { kind: "kv", binding: "HANDBOOK", title: "Wiki", description: "W", untrusted: true },
    },
    roles: { one: { description: "The one role", rules } },
    members: [{ email: "ann@other.example", name: "Ann", roles: ["one"], attributes: { ...member } }],
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
  ])("the %s gets three questions, and each can be answered", async (account, titles) => {
    const gateway = gatewayFor(sample);
    const caller = callerAs(`${account}@harbor.example`);
    const { roles, sources, questions } = await gateway.introduce(caller);
    expect(roles.map(({ name }) => name)).toEqual([account]);
    expect(sources.map(({ title }) => title)).toEqual(titles);
    expect(new Set(questions).size).toBe(3);

    expect(questions).toContain("What does “Handbook” say about “Returns”?");
    for (const question of questions) expect(await rowsFor(gateway, caller, question), question).toBeGreaterThan(0);
  });

  it("whoever has no role gets no question, and hears of no source", async () => {
    const answer = await gatewayFor(sample).introduce(callerAs("guest@harbor.example"));
    expect(answer).toEqual({ roles: [], sources: [], questions: [] });
  });

  it("names no column that is masked, hidden, a number of a row, or written by outsiders", async () => {
    const { questions } = await introduce(
      world([
        {
          action: "read",
          datasets: ["crm.tickets"],
          masks: { priority: mask.redact },
          hidden: ["region", "opened_at"],
        },
      ]),
    );
    expect(questions[0]).toBe("How many tickets are there?");
    expect(questions).toHaveLength(3);
    expect(questions.join(" ")).not.toMatch(/priority|region|opened|status|customer|\bid\b|refund/);
  });

  it("asks of no table in which the person sees no row", async () => {
    const own = world(
      [
        { action: "read", datasets: ["crm.tickets"], rows: { column: "region", op: "=", value: subject("region") } },
        { action: "read", datasets: ["crm.refunds"] },
      ],
      { region: "nowhere" },
    );
    const { questions } = await introduce(own);
    expect(questions[0]).toBe("How many refunds are there, by reason?");
    expect(questions.join(" ")).not.toContain("tickets");
  });

  it("puts no text of outsiders into a question, and asks nothing of a store without documents", async () => {
    const wiki = world([{ action: "read", datasets: ["wiki"] }]);
    expect((await introduce(wiki)).questions[0]).toBe("What are the documents of “Wiki” about?");
    await env.HANDBOOK.delete("policies/returns.md");
    expect((await introduce(wiki)).questions.join(" ")).not.toContain("Wiki");
    await env.HANDBOOK.put("policies/returns.md", "# Returns\n\nGoods can be returned within 30 days.");
  });

  it("leaves one record, of what was looked at and of no row", async () => {
    const caller = callerAs("analyst@harbor.example");
    await gatewayFor(sample).introduce(caller);
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId));
    const records = await ledger.records(0, 10);
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

/** Answers a question as an assistant would, from nothing but what the person may see: rows or characters that come back. */
async function rowsFor(gateway: Gateway, caller: ReturnType<typeof callerAs>, question: string): Promise<number> {
  const said = /^What does “(.+)” say about “(.+)”\?$/.exec(question);
  if (said !== null) return (await gateway.search(caller, said[2] ?? "", 5)).results.length;
  const asked =
    /^How many (?<things>.+) are there, by (?<column>.+)\?$/.exec(question) ??
    /^How has the number of (?<things>.+) changed from month to month, going by (?<column>.+)\?$/.exec(question) ??
    /^What are the lowest, the average and the highest (?<column>.+) of (?<things>.+)\?$/.exec(question);
  const { things = "", column = "" } = asked?.groups ?? {};
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
  return (await gateway.query(caller, { what: { source, sql }, params: [], limit: 10 })).rows.length;
}
