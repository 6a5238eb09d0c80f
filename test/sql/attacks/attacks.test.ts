// Every attack against a real D1, through all layers, and with each layer left out in turn: none may be idle.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../../src/errors.ts";
import { createD1Source } from "../../../src/sources/d1.ts";
import { createSchema } from "../../../src/sources/d1-schema.ts";
import { authorizer, exactValues, guard, planner, verification } from "../../../src/sources/layers.ts";
import type { LayerOptions } from "../../../src/sources/layers.ts";
import type { Layer } from "../../../src/sources/reading.ts";
import type { TableSource } from "../../../src/sources/source.ts";
import { quoteIdentifier } from "../../../src/sql/identifier.ts";
import { parseStatement, readStatement } from "../../../src/sql/statement.ts";
import { openFor, tableSource } from "../../support/governed.ts";
import { ATTACKS } from "./corpus.ts";
import type { Attack } from "./corpus.ts";
import { SECRET, config, fingerprint, plant } from "./fixture.ts";

const ACCOUNTS = ["mask", "north"] as const;
const LIMITS = { maxRows: 100, maxValueBytes: 100_000, maxTotalBytes: 10_000_000, bookmark: null };

interface Stack {
  readonly parse: typeof parseStatement;
  readonly source: TableSource;
}

beforeAll(plant);

/** What comes back for each attack: rows and columns, or the refusal. */
async function run({ parse, source }: Stack, account: string, { sql }: Attack): Promise<string> {
  try {
    const statement = parse(sql);
    const values = statement.parameterOffsets.map(() => null);
    const { rows, columns } = await source.read(openFor(config, source, account), statement, values, LIMITS);
    return JSON.stringify({ columns, rows });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}

const governed = (): Stack => ({ parse: parseStatement, source: tableSource(config) });

/** Whether something leaked: a planted value that neither stands in the attack itself nor is the account's to see. */
function leaks(seen: string, account: string, { sql }: Attack): boolean {
  const planted = seen.match(/S3CRET[-\w@.]*/g) ?? [];
  return planted.some((value) => !sql.includes(value) && !(account === "mask" && value === "S3CRET-southern-name"));
}

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
      const seen = await run(stack, account, attack);
      const isForeign = /SQLITE|D1_ERROR|denied_[0-9a-f]{8}|guard_[0-9a-f]{8}|result_[0-9a-f]{8}/.test(seen);
      if (leaks(seen, account, attack) || isForeign) wrong.push(`${attack.sql} → ${seen.slice(0, 200)}`);
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
        const other = { ...attack, sql: attack.sql.replaceAll(hidden, absent) };
        for (const account of ACCOUNTS) {
          const [one, two] = [await run(stack, account, attack), await run(stack, account, other)];
          if (one.replaceAll(hidden, absent) !== two) wrong.push(`${attack.sql}: ${one} / ${two}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("with a layer left out", () => {
  const base = () => tableSource(config);
  const options = (): LayerOptions => {
    const { declaration, datasets } = base();
    const schema = createSchema(declaration, datasets, env.SHOP_DB, () => {});
    return { schema, allowsRecursion: false, maxSteps: 1_000_000_000 };
  };
  const stackOf = (o: LayerOptions, layers: readonly Layer[], parse = parseStatement): Stack => {
    const { declaration, datasets } = base();
    return { parse, source: createD1Source(declaration, datasets, env.SHOP_DB, o.schema, layers) };
  };

  /** Layer 2 without the policy in it: names still resolve to views, but those show the table as it is. */
  const bareViews: Layer = (next) => async (reading) => {
    const views = reading.request.views.map((view) => ({
      ...view,
      select: () =>
        `SELECT ${view.columns.map((column) => `main.${quoteIdentifier(view.name)}.${quoteIdentifier(column)}`).join(", ")} FROM main.${quoteIdentifier(view.name)}`,
    }));
    return next({ ...reading, request: { ...reading.request, views } });
  };

  /** The attacks that some account gets further with than through all layers. */
  async function further(stack: Stack): Promise<readonly string[]> {
    const all = governed();
    const found: string[] = [];
    for (const attack of ATTACKS) {
      for (const account of ACCOUNTS) {
        const seen = await run(stack, account, attack);
        const isOpen = seen.startsWith("{") && !(await run(all, account, attack)).startsWith("{");
        if (isOpen || leaks(seen, account, attack)) found.push(attack.sql);
      }
    }
    return found;
  }

  it("1: the values that row rules bind can be read", async () => {
    const o = options();
    const layers = [planner(o), guard(o), authorizer(o), exactValues(o), verification(o)];
    const found = await further(stackOf(o, layers, readStatement));
    expect(found).toEqual(expect.arrayContaining(["SELECT ?2 || coalesce(?4, '') FROM people"]));
  });

  it("2: masks and row rules do not hold", async () => {
    const o = options();
    const layers = [bareViews, planner(o), guard(o), authorizer(o), exactValues(o), verification(o)];
    const found = await further(stackOf(o, layers));
    expect(found).toEqual(
      expect.arrayContaining([
        "SELECT group_concat(name) FROM people",
        "SELECT hex(email), quote(email), email || '' FROM people",
      ]),
    );
  });

  it("3: functions run that do more than their arguments say", async () => {
    const o = options();
    const layers = [planner(o), guard(o), exactValues(o), verification(o)];
    const found = await further(stackOf(o, layers));
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
    const attack = { category: "drift", sql: "SELECT page FROM visits" };
    const seenWith = async (isVerified: boolean): Promise<string> => {
      const o = options();
      const layers = [planner(o), guard(o), authorizer(o), exactValues(o), ...(isVerified ? [verification(o)] : [])];
      const stack = stackOf(o, layers);
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
