// Finds the SQLite version of a database by the features that it has, because D1 and Gatehouse both refuse `sqlite_version()`. The copy
// of SQLite that checks queries before they run may be newer.
import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "../project/tools.ts";
import { fine, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { Ground } from "./ground.ts";
import { structured } from "./ground.ts";
import { callTool, resultOf } from "./session.ts";
import type { Post } from "./session.ts";

/** A feature of each release (sqlite.org/changes.html), newest first: an expression and its value from that release on. */
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

/** Tries the features from the newest on, and reports the first one that the database has. */
export async function examineVersion(post: Post, { source }: Ground): Promise<Finding> {
  const check = `SQLite of ${source}`;
  const checkingVersion = readCheckingVersion();
  for (const [index, [version, expression, value]] of STEPS.entries()) {
    const answer = await callTool(post, "query", { source, sql: `SELECT ${expression} AS v`, limit: 1 });
    const { rows } = structured(resultOf(answer));
    if (!Array.isArray(rows) || JSON.stringify(rows) !== JSON.stringify([[value]])) continue;
    const next = STEPS[index - 1]?.[0];
    const range = next === undefined ? `${version} or newer` : `${version} or newer, older than ${next}`;
    return fine(check, `behaves as ${range}; ${checkingVersion} checks queries before they run`);
  }
  return warning(
    check,
    "behaves like no version that the doctor knows",
    `SQLite ${checkingVersion} checks queries; those that the database understands differently fail with query_failed. See the log.`,
  );
}

/** Reads the version of the SQLite copy that checks queries, from package.json. */
function readCheckingVersion(): string {
  const manifest: { readonly dependencies: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(path.join(root, "package.json"), "utf8"),
  );
  return (manifest.dependencies["@sqlite.org/sqlite-wasm"] ?? "").replace(/-.*$/, "");
}
