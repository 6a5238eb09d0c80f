// Runs every attack against a real D1, through all layers and with each layer left out in turn: every layer must stop something.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { authorizer, exactValues, guard, verification } from "../../../src/read/governed-middleware.ts";
import { planner } from "../../../src/read/planner.ts";
import { parseTrustedStatement } from "../../../src/sql/statement.ts";
import { ATTACKS, isForeign } from "./corpus.ts";
import { SECRET, fingerprint, plant } from "./fixture.ts";
import { ACCOUNTS, bareViews, governed, layerOptions, leaks, run, stackOf } from "./stack.ts";
import type { Stack } from "./stack.ts";

beforeAll(plant);

describe("attacks through all layers", () => {
  it("number at least 300, all different", () => {
    expect(ATTACKS.length).toBeGreaterThanOrEqual(300);
    expect(new Set(ATTACKS.map(({ sql }) => sql)).size).toBe(ATTACKS.length);
  });

  it.each(ACCOUNTS)(
    "leak nothing, write nothing and show no message of the database to the account %s",
    async (account) => {
      const before = await fingerprint();
      const stack = governed();
      const failures: string[] = [];
      for (const attack of ATTACKS) {
        const outcome = await run(stack, account, attack.sql);
        if (leaks(outcome, account, attack.sql) || isForeign(outcome))
          failures.push(`${attack.sql} → ${outcome.slice(0, 200)}`);
        // What caches hold of the statement must not change the outcome.
        const secondOutcome = await run(stack, account, attack.sql);
        if (secondOutcome !== outcome) failures.push(`${attack.sql}, again → ${secondOutcome.slice(0, 200)}`);
      }
      expect(failures).toEqual([]);
      expect(await fingerprint()).toBe(before);
    },
  );

  it("get the same answer about a hidden table as about a table that does not exist", async () => {
    const stack = governed();
    const failures: string[] = [];
    for (const [hidden, absent] of [
      ["salaries", "salariez"],
      ["undeclared", "undeclarex"],
      ["everyone", "everyonx"],
      ["notes", "noted"],
    ] as const) {
      for (const attack of ATTACKS.filter(({ sql }) => new RegExp(`\\b${hidden}\\b`).test(sql))) {
        const absentSql = attack.sql.replaceAll(hidden, absent);
        for (const account of ACCOUNTS) {
          const [hiddenOutcome, absentOutcome] = [
            await run(stack, account, attack.sql),
            await run(stack, account, absentSql),
          ];
          if (hiddenOutcome.replaceAll(hidden, absent) !== absentOutcome)
            failures.push(`${attack.sql}: ${hiddenOutcome} / ${absentOutcome}`);
        }
      }
    }
    expect(failures).toEqual([]);
  });
});

describe("attacks with one layer left out", () => {
  /** Lists the attacks with which some account gets further than through all layers. */
  async function listGains(stack: Stack): Promise<readonly string[]> {
    const complete = governed();
    const gains: string[] = [];
    for (const attack of ATTACKS) {
      for (const account of ACCOUNTS) {
        const outcome = await run(stack, account, attack.sql);
        const isOpen = outcome.startsWith("{") && !(await run(complete, account, attack.sql)).startsWith("{");
        if (isOpen || leaks(outcome, account, attack.sql)) gains.push(attack.sql);
      }
    }
    return gains;
  }

  it("read the values that row rules bind, without layer 1", async () => {
    const options = layerOptions();
    const layers = [planner(options), guard(), authorizer(options), exactValues(), verification()];
    const gains = await listGains(stackOf(layers, parseTrustedStatement));
    expect(gains).toEqual(expect.arrayContaining(["SELECT ?2 || coalesce(?4, '') FROM people"]));
  });

  it("bypass masks and row rules, without layer 2", async () => {
    const options = layerOptions();
    const layers = [bareViews, planner(options), guard(), authorizer(options), exactValues(), verification()];
    const gains = await listGains(stackOf(layers));
    expect(gains).toEqual(
      expect.arrayContaining([
        "SELECT group_concat(name) FROM people",
        "SELECT hex(email), quote(email), email || '' FROM people",
      ]),
    );
  });

  it("call functions that do more than read their arguments, without layer 3", async () => {
    const options = layerOptions();
    const layers = [planner(options), guard(), exactValues(), verification()];
    const gains = await listGains(stackOf(layers));
    expect(gains).toEqual(
      expect.arrayContaining(["SELECT zeroblob(1000000) FROM people", "SELECT randomblob(1000000) FROM people"]),
    );
  });

  it("read a table that was replaced after its schema was read, without layer 4", async () => {
    const replaceTable = [
      "ALTER TABLE visits RENAME TO old_visits",
      "CREATE VIEW visits AS SELECT id, id AS person_id, amount AS page FROM salaries",
    ];
    const restoreTable = ["DROP VIEW visits", "ALTER TABLE old_visits RENAME TO visits"];
    const attack = "SELECT page FROM visits";
    const runAfterReplacement = async (isVerified: boolean): Promise<string> => {
      const options = layerOptions();
      const layers = [
        planner(options),
        guard(),
        authorizer(options),
        exactValues(),
        ...(isVerified ? [verification()] : []),
      ];
      const stack = stackOf(layers);
      expect(await run(stack, "mask", attack)).toContain("/home");
      await env.SHOP_DB.batch(replaceTable.map((sql) => env.SHOP_DB.prepare(sql)));
      const outcome = await run(stack, "mask", attack);
      await env.SHOP_DB.batch(restoreTable.map((sql) => env.SHOP_DB.prepare(sql)));
      return outcome;
    };
    expect(await runAfterReplacement(false)).toContain(SECRET);
    expect(await runAfterReplacement(true)).toMatch(/^source_unavailable: /);
  });
});
