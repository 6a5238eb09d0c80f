// Fuzzes the fences: whatever SELECT reads an untrusted column, and whatever is computed from its stored result, outsiders' text leaves between
// fence marks alone, and the answer names the column. The sample here is bounded; `npm run fuzz:sql -- --minutes 10` runs longer.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { AppError } from "../../../src/errors.ts";
import type { QueryAnswer } from "../../../src/gateway/query-answer.ts";
import { createRandom } from "../../sql/fuzz/generator.ts";
import { callerAs, gatewayFor } from "../../support/gateway.ts";
import { NUMBER, TEXT, allow, buildPolicy } from "../../support/policy-builder.ts";

const DEFAULT_STATEMENTS = 250;
/** Outsiders' text consists of this letter alone, and no other text has it: what is made of such text has it, or shows nothing of it. */
const LETTER = "ж";

const columns = { id: NUMBER, day: TEXT, body: { ...TEXT, untrusted: true }, secret: TEXT };
const config = buildPolicy({
  limits: { rowsPerDay: 1_000_000 },
  tables: { a: columns, b: { ...columns, extra: TEXT } },
  roles: { reader: [allow("shop.a", { hidden: ["secret"] }), allow("shop.b")] },
});

beforeAll(async () => {
  await env.SHOP_DB.batch(
    ["a", "b"].flatMap((table) => [
      env.SHOP_DB.prepare(
        `CREATE TABLE ${table} (id INTEGER, day TEXT, body TEXT, secret TEXT${table === "b" ? ", extra TEXT" : ""})`,
      ),
      env.SHOP_DB.prepare(
        `INSERT INTO ${table} (id, day, body, secret) VALUES (1, '2026-01-01', '${LETTER}', 's'), (2, '2026-01-02', '${LETTER.repeat(2)}', 's'),
          (3, '2026-01-03', NULL, 's')`,
      ),
    ]),
  );
});

function createGenerator(random: () => number) {
  const pick = <T>(list: readonly T[]): T => {
    const item = list[Math.floor(random() * list.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  };
  const NAMES = ["id", "day", "body", "x.body", "y.body", "x.day", "BODY", '"body"'];
  const item = (): string =>
    pick([
      () => pick(NAMES),
      () => pick(NAMES),
      () => "*",
      () => "*",
      () => "x.*",
      () => `${pick(NAMES)} AS day`,
      () => `coalesce(${pick(NAMES)}, 'none')`,
      () => `max(${pick(NAMES)})`,
      () => `group_concat(${pick(NAMES)}) OVER ()`,
      () => `CASE WHEN id = 1 THEN ${pick(NAMES)} ELSE day END`,
      () => `(SELECT ${pick(["body", "day"])} FROM ${pick(["a", "b"])} LIMIT 1)`,
      () => `(SELECT max(body) FROM ${pick(["a", "b"])} WHERE id = x.id)`,
      () => `first_value(${pick(NAMES)}) OVER (ORDER BY id)`,
    ])();
  const relation = (depth: number): string =>
    pick([
      ...Array.from({ length: 5 }, () => () => pick(["a", "b"])),
      () => "(SELECT 'q' AS body, 1 AS id, 'd' AS day)",
      () => `(VALUES (1, 'v'), (2, (SELECT body FROM a LIMIT 1)))`,
      () => (depth > 0 ? `(${select(depth - 1)})` : "b"),
    ])();
  const join = (depth: number): string => {
    const kind = pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "FULL OUTER JOIN", "CROSS JOIN"]);
    return pick([
      () => `${relation(depth)} AS x`,
      () =>
        `${relation(depth)} AS x ${kind} ${relation(depth)} AS y USING (${pick(["body", "id", "day", "id, body"])})`,
      () => `${relation(depth)} AS x NATURAL ${kind.replace("CROSS ", "")} ${relation(depth)} AS y`,
      () => `${relation(depth)} AS x ${kind} ${relation(depth)} AS y ON x.id = y.id`,
      () => `${relation(depth)} AS x, json_each(json_array(x.body)) AS y`,
      () => `${relation(depth)} AS x ${kind} ${relation(depth)} AS y USING (body) ${kind} b AS z USING (body)`,
    ])();
  };
  function select(depth: number): string {
    const list = Array.from({ length: 1 + Math.floor(random() * 2) }, item).join(", ");
    const simple = `SELECT ${pick(["", "", "DISTINCT "])}${list} FROM ${join(depth)}${pick(["", " WHERE x.id < 3", " GROUP BY 1"])}`;
    return pick([
      () => simple,
      () => simple,
      () => `SELECT day FROM a ${pick(["UNION", "UNION ALL", "EXCEPT"])} SELECT ${pick(["body", "day"])} FROM b`,
      () => `WITH t(body, day) AS (SELECT day, body FROM a) SELECT ${pick(["body", "day", "*"])} FROM t`,
      () => `WITH body AS (${simple}) SELECT * FROM body`,
    ])();
  }
  return () => select(2);
}

/** Lists the texts in which an outsider's letter stands outside fence marks. */
function listUnfenced({ rows, columns: names }: Pick<QueryAnswer, "rows" | "columns">): readonly string[] {
  const texts = [...names, ...rows.flat().filter((cell) => typeof cell === "string")];
  return texts.filter((text) => text.replaceAll(/⟦[^⟦⟧]*⟧/g, "").includes(LETTER));
}

it(
  "never lets outsiders' text leave without fence marks and the name of its column",
  { timeout: 24 * 3_600_000 },
  async () => {
    const { FUZZ_MINUTES, FUZZ_SEED } = env;
    const seed = Number(FUZZ_SEED);
    const random = createRandom(seed);
    const generate = createGenerator(random);
    const [gateway, caller] = [gatewayFor(config), callerAs("reader@harbor.example")];
    const ask = async (source: string, sql: string): Promise<QueryAnswer | undefined> => {
      try {
        return await gateway.query(caller, { target: { source, sql }, params: [], rowLimit: undefined });
      } catch (error) {
        // Some of the statements are no valid SQL.
        if (!(error instanceof AppError)) throw error;
        return undefined;
      }
    };
    const endsMs = Date.now() + Number(FUZZ_MINUTES) * 60_000;
    const isOver = (done: number): boolean =>
      Number(FUZZ_MINUTES) > 0 ? Date.now() > endsMs : done >= DEFAULT_STATEMENTS;
    let fenced = 0;
    for (let done = 0; !isOver(done); done += 1) {
      const sql = generate();
      const answer = await ask("shop", sql);
      if (answer === undefined) continue;
      const copy = await ask(
        "workspace",
        `SELECT *, ${JSON.stringify(answer.columns[0])} || '' AS made FROM ${answer.result}`,
      );
      for (const shown of [answer, copy ?? answer]) {
        expect(listUnfenced(shown), `seed ${seed}: ${sql}`).toEqual([]);
        if (!JSON.stringify(shown.rows).includes(LETTER)) continue;
        expect(shown.untrusted ?? [], `seed ${seed}: ${sql}`).not.toEqual([]);
        fenced += 1;
      }
    }
    console.log(`fuzzer of fences: seed ${seed}, ${fenced} answers with outsiders' text`);
    expect(fenced).toBeGreaterThan(DEFAULT_STATEMENTS / 5);
  },
);
