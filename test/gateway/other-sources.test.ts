// A query that names a table of another source says which source has it, if the user may read it there, and nothing else about it.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { mask } from "../../src/config/define-gatehouse.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const gateway = gatewayFor(
  buildPolicy({
    organisation: { name: "T", contact: "T" },
    sources: {
      shop: {
        binding: "SHOP_DB",
        tables: { goods: { id: key(NUMBER), name: TEXT }, staff: { id: key(NUMBER), name: TEXT } },
      },
      ops: {
        binding: "OPS_DB",
        tables: {
          goods: { id: key(NUMBER), place: TEXT },
          depots: { id: key(NUMBER), town: TEXT },
          staff: { id: key(NUMBER), name: TEXT },
        },
      },
    },
    roles: {
      both: [allow(["shop.goods", "ops.*"])],
      shopper: [allow("shop.goods")],
      everything: [allow(["shop.*", "ops.*"])],
      masked: [allow(["shop.goods", "ops.*"]), allow("shop.staff", { masks: { name: mask.email } })],
    },
  }),
);

beforeAll(async () => {
  await env.SHOP_DB.exec("CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT)");
  await env.SHOP_DB.exec("CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT)");
  await env.OPS_DB.exec("CREATE TABLE goods (id INTEGER PRIMARY KEY, place TEXT)");
  await env.OPS_DB.exec("CREATE TABLE depots (id INTEGER PRIMARY KEY, town TEXT)");
  await env.OPS_DB.exec("CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT)");
  await env.OPS_DB.exec("INSERT INTO depots VALUES (1, 'Bergen')");
});

async function ask(account: string, source: string, sql: string): Promise<string> {
  try {
    const caller = callerAs(`${account}@harbor.example`);
    const { rows } = await gateway.query(caller, { target: { source, sql }, params: [], rowLimit: undefined });
    return JSON.stringify(rows);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.publicMessage;
  }
}

describe("a table of another source", () => {
  it.each([
    "SELECT town FROM depots",
    "SELECT town FROM ops.depots",
    "SELECT town FROM OPS.Depots d",
    "SELECT g.name FROM goods g JOIN ops.depots d ON d.id = g.id",
    "SELECT name FROM goods WHERE id IN (SELECT id FROM depots)",
  ])("is named with the source to query: %s", async (sql) => {
    const message = await ask("both", "shop", sql);
    expect(message).toContain("depots is a table of source ops: query it there, without the source before its name.");
    expect(message).toContain("join the results in source workspace");
    expect(await ask("both", "ops", "SELECT town FROM depots")).toBe('[["Bergen"]]');
  });

  it("is not taken for a table of the same name in the requested source", async () => {
    const message = await ask("both", "shop", "SELECT place FROM ops.goods");
    expect(message).toContain("goods is a table of source ops");
    expect(message).not.toContain("Write the table's name");
    expect(await ask("both", "shop", "SELECT name FROM shop.goods")).toContain("without the source before it: goods");
  });

  it.each([
    ["SELECT town FROM depots", "SELECT town FROM nosuch"],
    ["SELECT town FROM ops.depots", "SELECT town FROM ops.nosuch"],
    ["SELECT place FROM ops.goods", "SELECT place FROM xyz.goods"],
  ])("that the user may not read looks like one that does not exist: %s", async (denied, missing) => {
    const names = /depots|nosuch|ops|xyz/g;
    expect((await ask("shopper", "shop", denied)).replaceAll(names, "_")).toBe(
      (await ask("shopper", "shop", missing)).replaceAll(names, "_"),
    );
  });

  it("is named also where the requested source has a denied table of that name", async () => {
    const [denied, missing] = [
      await ask("both", "shop", "SELECT 1 FROM staff"),
      await ask("both", "shop", "SELECT 1 FROM depots"),
    ];
    expect(denied.replaceAll("staff", "_")).toBe(missing.replaceAll("depots", "_"));
    expect(denied).toContain("staff is a table of source ops");
  });
});

describe("the hint that another role may be needed", () => {
  it("is left out for a user to whom no other role would show more", async () => {
    expect(await ask("everything", "shop", "SELECT nosuch FROM goods")).not.toContain("role");
    expect(await ask("masked", "shop", "SELECT nosuch FROM goods")).toContain("another role may be needed");
    expect(await ask("shopper", "shop", "SELECT nosuch FROM goods")).toContain("another role may be needed");
  });

  it("is short with 40 sources and roles", async () => {
    const names = Array.from({ length: 40 }, (_value, at) => `source${at + 1}`);
    const many = gatewayFor(
      buildPolicy({
        organisation: { name: "T", contact: "T" },
        sources: Object.fromEntries(
          names.map((name) => [name, { binding: "SHOP_DB", tables: { goods: { id: key(NUMBER), name: TEXT } } }]),
        ),
        roles: Object.fromEntries(names.map((name) => [`reader-${name}`, [allow(`${name}.goods`)]])),
      }),
    );
    const overview = await many.describe(callerAs("reader-source1@harbor.example"), undefined);
    const { hint } = overview as { readonly hint: string };
    expect(hint).toContain("and 34 more");
    expect(hint.length).toBeLessThan(480);
    expect(hint.match(/reader-source/g)).toHaveLength(6);
  });
});
