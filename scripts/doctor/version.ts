// Which SQLite a database is. It does not let anybody ask (`sqlite_version()` is refused by D1 itself, and by Gatehouse), so it is told by
// what it can do. The copy that judges queries before they run may be newer.
import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "../build.ts";
import { fine, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { Ground } from "./ground.ts";
import { structured } from "./ground.ts";
import { callTool, resultOf } from "./session.ts";
import type { Post } from "./session.ts";

/** What each release brought (sqlite.org/changes.html), newest first: an expression and what it is from then on. */
const STEPS: readonly (readonly [version: string, expression: string, value: string | number])[] = [
  ["3.50", "format('%#Q', char(10))", "unistr('\\u000a')"],
  ["3.48", "iif(1, 2)", 2],
  ["3.46", "1_000", 1000],
  ["3.45", "json(jsonb('[1]'))", "[1]"],
  ["3.44", "concat('a', NULL, 'b')", "ab"],
  ["3.43", "octet_length('é')", 2],
  ["3.42", "json('{a:1}')", '{"a":1}'],
  ["3.41", "unhex('zz') IS NULL", 1],
];

export async function examineVersion(post: Post, { source }: Ground): Promise<Finding> {
  const check = `SQLite of ${source}`;
  const ours = ownVersion();
  for (const [index, [version, expression, value]] of STEPS.entries()) {
    const answer = await callTool(post, "query", { source, sql: `SELECT ${expression} AS v`, limit: 1 });
    const { rows } = structured(resultOf(answer));
    if (!Array.isArray(rows) || JSON.stringify(rows) !== JSON.stringify([[value]])) continue;
    const next = STEPS[index - 1]?.[0];
    const range = next === undefined ? `${version} or newer` : `${version} or newer, older than ${next}`;
    return fine(check, `behaves as ${range}; queries are judged by ${ours} before they run`);
  }
  return warning(
    check,
    "behaves as none that is known here",
    `Queries are judged by ${ours}; what the database does otherwise fails with query_failed. Look into its log.`,
  );
}

/** Of the SQLite that judges queries. */
function ownVersion(): string {
  const manifest: { readonly dependencies: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(path.join(root, "package.json"), "utf8"),
  );
  return (manifest.dependencies["@sqlite.org/sqlite-wasm"] ?? "").replace(/-.*$/, "");
}
