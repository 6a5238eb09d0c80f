// Fuzzes governed SQL with attacks put together at random from pieces of known attacks, through all layers. Nothing may leak or be written,
// and every error must be Gatehouse's own. What the fuzzer finds goes into the corpus.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { authorizer, exactValues, guard, verification } from "../../../src/read/governed-middleware.ts";
import { planner } from "../../../src/read/planner.ts";
import { tokenize } from "../../../src/sql/lexer.ts";
import { ATTACKS, isForeign } from "../attacks/corpus.ts";
import { fingerprint, otherConfig, plant, plantOthers } from "../attacks/fixture.ts";
import { ACCOUNTS, bareViews, governed, layerOptions, leaks, run, stackOf } from "../attacks/stack.ts";
import { createRandom } from "./generator.ts";

const DEFAULT_STATEMENTS = 4000;
/** Longer statements are refused for their length alone. */
const MAX_LENGTH = 1500;

const NAMES = [
  "people visits salaries undeclared json_tree everyone totals papers papers_content papers_data",
  "sqlite_schema sqlite_master sqlite_sequence _gatehouse_masking_token _cf_METADATA pragma_table_info json_each main temp",
  "notes card email secret amount body value token sql rowid oid x t",
].join(" ");
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
const FRAMES: readonly ((first: string, second: string) => string)[] = [
  (first) => `SELECT * FROM (${first})`,
  (first) => `WITH x AS (${first}) SELECT * FROM x`,
  (first) => `SELECT (${first})`,
  (first) => `SELECT * FROM people WHERE EXISTS (${first})`,
  (first) => `SELECT * FROM people WHERE id IN (${first})`,
  (first, second) => `${first} UNION ALL ${second}`,
  (first, second) => `${first} INTERSECT ${second}`,
  (first, second) => `SELECT * FROM (${first}), (${second})`,
  (first, second) => `WITH people AS (${first}) ${second}`,
  (first, second) => `${first}; ${second}`,
  (first, second) => `${first} LIMIT (${second})`,
  (first, second) => `SELECT (${first}) OVER (ORDER BY (${second})) FROM people`,
];

/** Ordinary questions. Pieces of attacks in these are accepted more often than mutated attacks. */
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
  readonly kind: string;
  readonly text: string;
}

/** Splits SQL into pieces. Unquoted words are names unless they are in capitals, as keywords are here. */
function splitIntoPieces(sql: string): readonly Piece[] {
  return tokenize(sql).map(({ kind, start, end, value }) => {
    const isName = kind === "quoted" || (kind === "word" && value !== value.toUpperCase());
    return { kind: isName ? "name" : kind, text: sql.slice(start, end) };
  });
}

/** Functions whose result differs each time. */
const CHANGING = /random|now|current_|julianday|unixepoch|strftime|date|time/i;

beforeAll(plant);
beforeAll(plantOthers);

/** Creates a generator of statements, which are the same for the same seed. */
function createAttacker(seed: number) {
  const random = createRandom(seed);
  const pick = <T>(choices: readonly T[]): T => {
    const choice = choices[Math.floor(random() * choices.length)];
    if (choice === undefined) throw new Error("nothing to choose from");
    return choice;
  };
  const names = NAMES.split(" ");
  const pieces = Map.groupBy(
    ATTACKS.flatMap(({ sql }) => splitIntoPieces(sql)),
    ({ kind }) => kind,
  );
  /** Picks another piece of the same kind, so that most statements stay valid; names are mostly picked from NAMES. */
  const exchange = ({ kind, text }: Piece): string => {
    if (kind === "name" && random() < 0.7) return pick(QUOTES)(pick(names));
    return pick(pieces.get(kind) ?? [{ kind, text }]).text;
  };
  const mutate = (sql: string): string => {
    const sqlPieces = splitIntoPieces(sql);
    const texts = sqlPieces.map(({ text }) => text);
    for (let times = Math.floor(random() * 3); times > 0; times -= 1) {
      const at = Math.floor(random() * sqlPieces.length);
      const piece = sqlPieces[at];
      if (piece === undefined || piece.kind === "space") continue;
      texts[at] = random() < 0.95 ? exchange(piece) : "";
    }
    return texts.join("");
  };
  const generate = (): string => {
    const base = (): string => mutate(random() < 0.6 ? pick(PLAIN) : pick(ATTACKS).sql);
    return random() < 0.4 ? pick(FRAMES)(base(), base()) : base();
  };
  return { attack: () => generate().slice(0, MAX_LENGTH), account: () => pick(ACCOUNTS) };
}

it("stops every random attack", { timeout: 24 * 3_600_000 }, async () => {
  const seed = Number(env.FUZZ_SEED);
  const attacker = createAttacker(seed);
  const [stack, otherStack] = [governed(), governed(otherConfig)];
  const before = await fingerprint();
  const minutes = Number(env.FUZZ_MINUTES);
  const endsMs = Date.now() + minutes * 60_000;
  let done = 0;
  let answered = 0;
  for (; minutes > 0 ? Date.now() < endsMs : done < DEFAULT_STATEMENTS; done += 1) {
    const [sql, account] = [attacker.attack(), attacker.account()];
    const outcome = await run(stack, account, sql).catch((error: unknown) => {
      throw new Error(`seed ${seed}, as ${account}: ${sql}`, { cause: error });
    });
    expect(leaks(outcome, account, sql) || isForeign(outcome), `seed ${seed}, as ${account}: ${sql} → ${outcome}`).toBe(
      false,
    );
    if (outcome.startsWith("{")) answered += 1;
    // All secrets are hidden from the account north: nothing that it gets may depend on them.
    if (account === "north" && !CHANGING.test(sql))
      expect(await run(otherStack, account, sql), `seed ${seed}, with other secrets: ${sql}`).toBe(outcome);
    if (done % 500 === 499) expect(await fingerprint(), `seed ${seed}, before statement ${done}`).toBe(before);
  }
  expect(await fingerprint()).toBe(before);
  console.log(`fuzzer of attacks: seed ${seed}, ${done} statements, ${answered} of them answered`);
  // Statements that are refused at once prove nothing.
  expect(answered).toBeGreaterThan(done * 0.1);
});

it("finds leaks soon when the guard views do not apply the policy", async () => {
  const options = layerOptions();
  const stack = stackOf([bareViews, planner(options), guard(), authorizer(options), exactValues(), verification()]);
  const attacker = createAttacker(1);
  let leaked = 0;
  for (let done = 0; done < 300; done += 1) {
    const [sql, account] = [attacker.attack(), attacker.account()];
    if (leaks(await run(stack, account, sql), account, sql)) leaked += 1;
  }
  expect(leaked).toBeGreaterThan(5);
});
