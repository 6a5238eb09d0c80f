// Sends the read-only attacks of the test corpus through the deployment's `query` tool, on a table that the access token's owner may
// read. The tables that the corpus tries to reach do not exist there, so any answer to them is a leak, as is the database's own text.
import { ATTACKS, isForeign } from "../../test/sql/attacks/corpus.ts";
import type { Attack } from "../../test/sql/attacks/corpus.ts";
import { fine, problem, quote, skipped } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { findGrounds, structured } from "./ground.ts";
import type { Ground } from "./ground.ts";
import { isObject, objectOf } from "./http.ts";
import type { Answer } from "./http.ts";
import { callTool, resultOf } from "./session.ts";
import type { Post } from "./session.ts";
import { examineVersion } from "./version.ts";

/** Words of statements that would change a database if a defence failed. They are never sent, because a deployment is in use. */
const HARMFUL_WORDS = [
  "DELETE|INSERT|UPDATE|DROP|ALTER|CREATE|VACUUM|ATTACH|DETACH|REINDEX|ANALYZE|COMMIT|SAVEPOINT|COPY|EXEC|CALL",
  "writefile|edit|load_extension|pragma_optimize|optimize",
].join("|");
const HARMFUL = new RegExp(`\\b(?:${HARMFUL_WORDS})\\b|\\bREPLACE\\s+INTO\\b|\\bPRAGMA\\s+\\w+\\s*=`, "i");

/** The attacks of the corpus that change nothing even if they succeed. */
export const READING_ATTACKS: readonly Attack[] = ATTACKS.filter(({ sql }) => !HARMFUL.test(sql));

/** The corpus's names for things out of reach. Where a deployment shows a table of that name, reading it is no attack. */
const OUT_OF_REACH =
  /\b(?:salaries|undeclared|everyone|totals|papers|papers_content|d1_migrations|sqlite_\w+|_cf_KV|dbstat)\b/i;

/** Tries every attack on every database that the user sees; one finding per database, and one for its SQLite version. */
export async function examineAttacks(post: Post): Promise<readonly Finding[]> {
  const grounds = await findGrounds(post);
  if (grounds.length === 0) return [skipped("attacks", "the access token's owner sees no table to try them on")];
  const findings: Finding[] = [];
  for (const ground of grounds) findings.push(await tryAttacks(post, ground), await examineVersion(post, ground));
  return findings;
}

async function tryAttacks(post: Post, ground: Ground): Promise<Finding> {
  const check = `attacks on ${ground.source}`;
  const visible = ground.tables.map((table) => table.toLowerCase()).filter((table) => OUT_OF_REACH.test(table));
  const attacks = READING_ATTACKS.filter(({ sql }) => {
    const words = new Set(sql.toLowerCase().match(/\w+/g));
    return !visible.some((table) => words.has(table));
  });
  const wrong: string[] = [];
  for (const attack of attacks) {
    const sql = translate(attack.sql, ground);
    const answer = await callTool(post, "query", { source: ground.source, sql, limit: 1 });
    const fault = faultOf(attack, answer);
    if (fault !== undefined) wrong.push(`${quote(sql)} ${fault}`);
  }
  if (wrong.length === 0) return fine(check, `${attacks.length} tried on ${ground.table}, none succeeded`);
  const [first = ""] = wrong;
  return problem(
    check,
    `${wrong.length} of ${attacks.length} were not refused as they should be; the first: ${first}`,
    [
      "Take the deployment offline or remove the source from the policy file, then report this: docs/security.md, Reporting.",
      "Run npm test to see whether this version withstands the attack on your machine.",
    ].join(" "),
  );
}

/** Replaces the corpus's table and columns with a table and a column of the deployment. */
function translate(sql: string, { table, column }: Ground): string {
  return sql.replaceAll(/\bpeople\b/g, table).replaceAll(/\b(?:name|id|email|region)\b/g, column);
}

/** Says what is wrong with the answer to an attack; undefined when the attack was refused. */
export function faultOf({ category, sql }: Attack, answer: Answer): string | undefined {
  if (answer.status !== 200) return `answers ${answer.status}`;
  // The protocol layer may refuse the arguments before the tool is reached.
  if (isObject(objectOf(answer)?.["error"])) return undefined;
  const result = resultOf(answer);
  if (isForeign(answer.text)) return "is answered with the database's own message";
  const { error } = structured(result);
  const code = isObject(error) ? error["code"] : undefined;
  if (code === "internal" || code === "source_unavailable") return `ends with ${code}`;
  const isAnswered = result["isError"] !== true;
  return isAnswered && mustFail(category, sql) ? "is answered" : undefined;
}

/** Whether any answer at all to this attack would be a leak. */
function mustFail(category: string, sql: string): boolean {
  return (
    category === "functions" ||
    OUT_OF_REACH.test(sql) ||
    (/\bnotes\b/.test(sql) && category === "hidden and masked columns")
  );
}
