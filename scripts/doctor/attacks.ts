// The reading attacks of the test corpus through the deployment's `query`, on a table that the token's owner may read. What the
// corpus tries to reach is not there, so nothing must be answered where its names stand, and no message may be the database's.
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

/** What would do harm if a layer did not hold: not for a database that is in use. */
const HARMFUL =
  /\b(?:DELETE|INSERT|UPDATE|DROP|ALTER|CREATE|VACUUM|ATTACH|DETACH|REINDEX|ANALYZE|COMMIT|SAVEPOINT|COPY|EXEC|CALL|writefile|edit|load_extension|pragma_optimize|optimize)\b|\bREPLACE\s+INTO\b|\bPRAGMA\s+\w+\s*=/i;

export const READING_ATTACKS: readonly Attack[] = ATTACKS.filter(({ sql }) => !HARMFUL.test(sql));

/** Names of the corpus that stand for things out of reach; where a deployment shows a table of that name, the attack is none. */
const OUT_OF_REACH =
  /\b(?:salaries|undeclared|everyone|totals|papers|papers_content|d1_migrations|sqlite_\w+|_cf_KV|dbstat)\b/i;

/** Every attack on every database: one finding each, and what the database is. */
export async function examineAttacks(post: Post): Promise<readonly Finding[]> {
  const grounds = await findGrounds(post);
  if (grounds.length === 0)
    return [skipped("attacks", "the token's owner sees no table, so there is nothing to try them on")];
  const findings: Finding[] = [];
  for (const ground of grounds) findings.push(await attack(post, ground), await examineVersion(post, ground));
  return findings;
}

async function attack(post: Post, ground: Ground): Promise<Finding> {
  const check = `attacks on ${ground.source}`;
  const visible = ground.tables.map((table) => table.toLowerCase()).filter((table) => OUT_OF_REACH.test(table));
  const attacks = READING_ATTACKS.filter(({ sql }) => {
    const words = new Set(sql.toLowerCase().match(/\w+/g));
    return !visible.some((table) => words.has(table));
  });
  const wrong: string[] = [];
  for (const one of attacks) {
    const sql = translate(one.sql, ground);
    const answer = await callTool(post, "query", { source: ground.source, sql, limit: 1 });
    const fault = faultOf(one, answer);
    if (fault !== undefined) wrong.push(`${quote(sql)} ${fault}`);
  }
  if (wrong.length === 0) return fine(check, `${attacks.length} tried on ${ground.table}, none got anywhere`);
  const [first = ""] = wrong;
  return problem(
    check,
    `${wrong.length} of ${attacks.length} got further than they should; the first: ${first}`,
    "Take the deployment off line or the source out of the policy file, then report this: docs/security.md, Reporting. Run npm test to see whether this version holds here.",
  );
}

/** The corpus's own table and columns, as the deployment calls one of its. */
function translate(sql: string, { table, column }: Ground): string {
  return sql.replaceAll(/\bpeople\b/g, table).replaceAll(/\b(?:name|id|email|region)\b/g, column);
}

/** What is wrong with the answer to an attack; undefined when it was held. */
export function faultOf({ category, sql }: Attack, answer: Answer): string | undefined {
  if (answer.status !== 200) return `answers ${answer.status}`;
  // The protocol layer may refuse the arguments before the tool is reached.
  if (isObject(objectOf(answer)?.["error"])) return undefined;
  const result = resultOf(answer);
  if (isForeign(answer.text)) return "is answered in the database's words";
  const { error } = structured(result);
  const code = isObject(error) ? error["code"] : undefined;
  if (code === "internal" || code === "source_unavailable") return `ends with ${code}`;
  const isAnswered = result["isError"] !== true;
  return isAnswered && mustFail(category, sql) ? "is answered" : undefined;
}

/** Whether an answer, whatever is in it, would be a way through. */
function mustFail(category: string, sql: string): boolean {
  return (
    category === "functions" ||
    OUT_OF_REACH.test(sql) ||
    (/\bnotes\b/.test(sql) && category === "hidden and masked columns")
  );
}
