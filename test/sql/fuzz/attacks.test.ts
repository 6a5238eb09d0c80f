// The fuzzer of attacks: pieces of known attacks, put together at random, through all layers. Nothing may leak, nothing may be
// written, and nothing but our own refusals may come out. What it finds goes into the corpus.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { authorizer, exactValues, guard, verification } from "../../../src/sources/layers.ts";
import { planner } from "../../../src/sources/planner.ts";
import { tokenize } from "../../../src/sql/tokenizer.ts";
import { ATTACKS, isForeign } from "../attacks/corpus.ts";
import { fingerprint, otherConfig, plant, plantOthers } from "../attacks/fixture.ts";
import { ACCOUNTS, bareViews, governed, layerOptions, leaks, run, stackOf } from "../attacks/stack.ts";
import { createRandom } from "./generator.ts";

const DEFAULT_STATEMENTS = 4000;
/** More is refused for its length alone. */
const MAX_LENGTH = 1500;

const NAMES =
  "people visits salaries undeclared json_tree everyone totals papers papers_content papers_data sqlite_schema sqlite_master sqlite_sequence _gatehouse_token _cf_METADATA pragma_table_info json_each main temp notes card email secret amount body value token sql rowid oid x t";
const QUOTES: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => `"${name}"`,
  (name) => `[${name}]`,
  (name) => `\`${name}\``,
  (name) => `'${name}'`,
  (name) => name.toUpperCase(),
  (name) => `main.${name}`,
  (name) => `/**/${name}--\n`,
];
const FRAMES: readonly ((one: string, other: string) => string)[] = [
  (one) => `SELECT * FROM (${one})`,
  (one) => `WITH x AS (${one}) SELECT * FROM x`,
  (one) => `SELECT (${one})`,
  (one) => `SELECT * FROM people WHERE EXISTS (${one})`,
  (one) => `SELECT * FROM people WHERE id IN (${one})`,
  (one, other) => `${one} UNION ALL ${other}`,
  (one, other) => `${one} INTERSECT ${other}`,
  (one, other) => `SELECT * FROM (${one}), (${other})`,
  (one, other) => `WITH people AS (${one}) ${other}`,
  (one, other) => `${one}; ${other}`,
  (one, other) => `${one} LIMIT (${other})`,
  (one, other) => `SELECT (${one}) OVER (ORDER BY (${other})) FROM people`,
];

/** What people ask. Pieces of attacks in these are taken more often than attacks made worse. */
const PLAIN: readonly string[] = [
  "SELECT * FROM people",
  "SELECT p.name, v.page FROM people p JOIN visits v ON v.person_id = p.id",
  "SELECT name, count(*) FROM people GROUP BY name HAVING count(*) > 0 ORDER BY 2 DESC",
  "SELECT id, (SELECT max(page) FROM visits v WHERE v.person_id = p.id) FROM people p",
  "WITH x AS (SELECT id, email FROM people) SELECT * FROM x WHERE email LIKE '%n%'",
  "SELECT name FROM people WHERE id IN (SELECT person_id FROM visits)",
  "SELECT card, row_number() OVER (PARTITION BY card ORDER BY id) FROM people",
  "SELECT group_concat(email, ';') FROM people",
  "SELECT json_group_array(json_object('a', name, 'b', card)) FROM people",
  "SELECT value FROM people, json_each(json_array(name, email, card))",
  "SELECT a.card FROM people a LEFT JOIN people b ON a.card = b.card AND a.id < b.id",
  "SELECT email FROM people UNION SELECT page FROM visits ORDER BY 1",
  "SELECT CASE WHEN email > 'm' THEN card ELSE name END FROM people",
  "SELECT * FROM (SELECT id, email AS x FROM people) t NATURAL JOIN visits",
  "VALUES (1, 'a'), (2, (SELECT max(card) FROM people))",
];

interface Piece {
  readonly sort: string;
  readonly text: string;
}

/** Words in capitals are SQL's own here. */
function piecesOf(sql: string): readonly Piece[] {
  return tokenize(sql).map(({ kind, start, end, value }) => {
    const isName = kind === "quoted" || (kind === "word" && value !== value.toUpperCase());
    return { sort: isName ? "name" : kind, text: sql.slice(start, end) };
  });
}

/** What comes out differently each time, whatever is asked. */
const CHANGING = /random|now|current_|julianday|unixepoch|strftime|date|time/i;

beforeAll(plant);
beforeAll(plantOthers);

/** Makes statements for ever, the same ones for a seed. */
function createAttacker(seed: number) {
  const random = createRandom(seed);
  const pick = <T>(choices: readonly T[]): T => {
    const choice = choices[Math.floor(random() * choices.length)];
    if (choice === undefined) throw new Error("nothing to choose from");
    return choice;
  };
  const names = NAMES.split(" ");
  const pieces = Map.groupBy(
    ATTACKS.flatMap(({ sql }) => piecesOf(sql)),
    ({ sort }) => sort,
  );
  /** Another piece of the same sort, so that most of it stays SQL; names among the tempting ones. */
  const exchange = ({ sort, text }: Piece): string => {
    if (sort === "name" && random() < 0.7) return pick(QUOTES)(pick(names));
    return pick(pieces.get(sort) ?? [{ sort, text }]).text;
  };
  const mutate = (sql: string): string => {
    const parts = piecesOf(sql);
    const texts = parts.map(({ text }) => text);
    for (let times = Math.floor(random() * 3); times > 0; times -= 1) {
      const at = Math.floor(random() * parts.length);
      const part = parts[at];
      if (part === undefined || part.sort === "space") continue;
      texts[at] = random() < 0.95 ? exchange(part) : "";
    }
    return texts.join("");
  };
  const generate = (): string => {
    const base = (): string => mutate(random() < 0.6 ? pick(PLAIN) : pick(ATTACKS).sql);
    return random() < 0.4 ? pick(FRAMES)(base(), base()) : base();
  };
  return { attack: () => generate().slice(0, MAX_LENGTH), account: () => pick(ACCOUNTS) };
}

it("no attack made of attacks gets through", { timeout: 24 * 3_600_000 }, async () => {
  const seed = Number(env.FUZZ_SEED);
  const attacker = createAttacker(seed);
  const [stack, otherwise] = [governed(), governed(otherConfig)];
  const before = await fingerprint();
  const minutes = Number(env.FUZZ_MINUTES);
  const endsMs = Date.now() + minutes * 60_000;
  let done = 0;
  let answered = 0;
  for (; minutes > 0 ? Date.now() < endsMs : done < DEFAULT_STATEMENTS; done += 1) {
    const [sql, account] = [attacker.attack(), attacker.account()];
    const seen = await run(stack, account, sql).catch((error: unknown) => {
      throw new Error(`seed ${seed}, as ${account}: ${sql}`, { cause: error });
    });
    expect(leaks(seen, account, sql) || isForeign(seen), `seed ${seed}, as ${account}: ${sql} → ${seen}`).toBe(false);
    if (seen.startsWith("{")) answered += 1;
    // All of the secrets are hidden from the north: nothing that it gets may depend on them.
    if (account === "north" && !CHANGING.test(sql))
      expect(await run(otherwise, account, sql), `seed ${seed}, with other secrets: ${sql}`).toBe(seen);
    if (done % 500 === 499) expect(await fingerprint(), `seed ${seed}, before statement ${done}`).toBe(before);
  }
  expect(await fingerprint()).toBe(before);
  console.log(`fuzzer of attacks: seed ${seed}, ${done} statements, ${answered} of them answered`);
  // What is refused at once shows nothing.
  expect(answered).toBeGreaterThan(done * 0.1);
});

it("it would: without the policy in the views, leaks are found at once", async () => {
  const o = layerOptions();
  const stack = stackOf([bareViews, planner(o), guard(), authorizer(o), exactValues(), verification()]);
  const attacker = createAttacker(1);
  let leaked = 0;
  for (let done = 0; done < 300; done += 1) {
    const [sql, account] = [attacker.attack(), attacker.account()];
    if (leaks(await run(stack, account, sql), account, sql)) leaked += 1;
  }
  expect(leaked).toBeGreaterThan(5);
});
