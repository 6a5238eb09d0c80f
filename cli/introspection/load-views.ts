// Creates the views of a file in D1, after its tables. A view may refer to any other one, so all are created first; then those that do not
// compile are removed, which may break others.
import { parseViewDeclaration } from "../../src/sql/database-view.ts";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import type { TargetDatabase } from "./copy-rows.ts";
import { withoutUnknownCollations } from "./declaration.ts";
import { messageOf } from "./load-problem.ts";
import { dropViews } from "./load-record.ts";
import type { LeftOut } from "./schema.ts";
import { planView } from "./examine-views.ts";

/** A view of the file. */
interface SourceView {
  readonly name: string;
  readonly sql: string;
}

/** Creates the views that D1 can compile. Returns the others with the reason. */
export async function loadViews(target: TargetDatabase, views: readonly SourceView[]): Promise<readonly LeftOut[]> {
  const leftOut: LeftOut[] = [];
  let created: string[] = [];
  for (const { name, sql } of views) {
    const problem = await createView(target, name, sql);
    if (problem === undefined) created.push(name);
    else leftOut.push({ name, reason: `is a view that D1 does not take: ${problem}.` });
  }
  for (let broken = true; broken;) {
    broken = false;
    for (const name of created) {
      const plan = await planView(target, name);
      if (typeof plan !== "string") continue;
      await dropViews(target, [name]);
      leftOut.push({ name, reason: `is a view that does not compile: ${plan}.` });
      created = created.filter((other) => other !== name);
      broken = true;
    }
  }
  return leftOut;
}

/** Creates a view under the name that the schema gives it. Returns why that is not possible. */
async function createView(target: TargetDatabase, name: string, sql: string): Promise<string | undefined> {
  const declaration = parseViewDeclaration(sql);
  const { unknown } = withoutUnknownCollations(sql);
  if (declaration === undefined) return "its declaration has an unknown form";
  if (unknown.length > 0) return `no such collation sequence: ${unknown.join(", ")}`;
  try {
    const { columnList, query } = declaration;
    await target.prepare(`CREATE VIEW ${quoteIdentifier(name)} ${columnList} AS ${query}`).all();
    return undefined;
  } catch (error) {
    // When the target does not answer any more, no view is to blame, and the load is not complete.
    await target.prepare("SELECT 1").all();
    return messageOf(error);
  }
}
