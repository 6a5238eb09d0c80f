// Every attack against a real D1, through all layers, and with each layer left out in turn: none may be idle.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { authorizer, exactValues, guard, verification } from "../../../src/sources/layers.ts";
import { planner } from "../../../src/sources/planner.ts";
import { readStatement } from "../../../src/sql/statement.ts";
import { ATTACKS, isForeign } from "./corpus.ts";
import { SECRET, fingerprint, plant } from "./fixture.ts";
import { ACCOUNTS, bareViews, governed, layerOptions, leaks, run, stackOf } from "./stack.ts";
import type { Stack } from "./stack.ts";

beforeAll(plant);

describe("through all layers", () => {
  it(`there are ${ATTACKS.length} attacks, each another`, () => {
    expect(ATTACKS.length).toBeGreaterThanOrEqual(300);
    expect(new Set(ATTACKS.map(({ sql }) => sql)).size).toBe(ATTACKS.length);
  });

  it.each(ACCOUNTS)("as %s: nothing leaks, nothing is written, and no message is the database's", async (account) => {
    const before = await fingerprint();
    const stack = governed();
    const wrong: string[] = [];
    for (const attack of ATTACKS) {
      const seen = await run(stack, account, attack.sql);
      if (leaks(seen, account, attack.sql) || isForeign(seen)) wrong.push(`${attack.sql} → ${seen.slice(0, 200)}`);
      // What is remembered of the statement opens nothing.
      const again = await run(stack, account, attack.sql);
      if (again !== seen) wrong.push(`${attack.sql}, again → ${again.slice(0, 200)}`);
    }
    expect(wrong).toEqual([]);
    expect(await fingerprint()).toBe(before);
  });

  it("the same question about something hidden and something that never was gets the same answer", async () => {
    const stack = governed();
    const wrong: string[] = [];
    for (const [hidden, absent] of [
      ["salaries", "salariez"],
      ["undeclared", "undeclarex"],
      ["everyone", "everyonx"],
      ["notes", "noted"],
    ] as const) {
      for (const attack of ATTACKS.filter(({ sql }) => new RegExp(`\\b${hidden}\\b`).test(sql))) {
        const other = attack.sql.replaceAll(hidden, absent);
        for (const account of ACCOUNTS) {
          const [one, two] = [await run(stack, account, attack.sql), await run(stack, account, other)];
          if (one.replaceAll(hidden, absent) !== two) wrong.push(`${attack.sql}: ${one} / ${two}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("with a layer left out", () => {
  /** The attacks that some account gets further with than through all layers. */
  async function further(stack: Stack): Promise<readonly string[]> {
    const all = governed();
    const found: string[] = [];
    for (const attack of ATTACKS) {
      for (const account of ACCOUNTS) {
        const seen = await run(stack, account, attack.sql);
        const isOpen = seen.startsWith("{") && !(await run(all, account, attack.sql)).startsWith("{");
        if (isOpen || leaks(seen, account, attack.sql)) found.push(attack.sql);
      }
    }
    return found;
  }

  it("1: the values that row rules bind can be read", async () => {
    const o = layerOptions();
    const layers = [planner(o), guard(), authorizer(o), exactValues(), verification()];
    const found = await further(stackOf(layers, readStatement));
    expect(found).toEqual(expect.arrayContaining(["SELECT ?2 || coalesce(?4, '') FROM people"]));
  });

  it("2: masks and row rules do not hold", async () => {
    const o = layerOptions();
    const layers = [bareViews, planner(o), guard(), authorizer(o), exactValues(), verification()];
    const found = await further(stackOf(layers));
    expect(found).toEqual(
      expect.arrayContaining([
        "SELECT group_concat(name) FROM people",
        "SELECT hex(email), quote(email), email || '' FROM people",
      ]),
    );
  });

  it("3: functions run that do more than their arguments say", async () => {
    const o = layerOptions();
    const layers = [planner(o), guard(), exactValues(), verification()];
    const found = await further(stackOf(layers));
    expect(found).toEqual(
      expect.arrayContaining(["SELECT zeroblob(1000000) FROM people", "SELECT randomblob(1000000) FROM people"]),
    );
  });

  it("4: a table that was exchanged since its schema was read is read as if it were the old one", async () => {
    const exchange = [
      "ALTER TABLE visits RENAME TO old_visits",
      "CREATE VIEW visits AS SELECT id, id AS person_id, amount AS page FROM salaries",
    ];
    const restore = ["DROP VIEW visits", "ALTER TABLE old_visits RENAME TO visits"];
    const attack = "SELECT page FROM visits";
    const seenWith = async (isVerified: boolean): Promise<string> => {
      const o = layerOptions();
      const layers = [planner(o), guard(), authorizer(o), exactValues(), ...(isVerified ? [verification()] : [])];
      const stack = stackOf(layers);
      expect(await run(stack, "mask", attack)).toContain("/home");
      await env.SHOP_DB.batch(exchange.map((sql) => env.SHOP_DB.prepare(sql)));
      const seen = await run(stack, "mask", attack);
      await env.SHOP_DB.batch(restore.map((sql) => env.SHOP_DB.prepare(sql)));
      return seen;
    };
    expect(await seenWith(false)).toContain(SECRET);
    expect(await seenWith(true)).toMatch(/^source_unavailable: /);
  });
});
