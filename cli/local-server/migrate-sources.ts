// Creates Gatehouse's own tables in the sources' databases, through wrangler. It is idempotent, and start and deploy do it too.
import path from "node:path";
import { loadOwnConfig, requireBindings } from "../project/policy-file.ts";
import { root } from "../project/tools.ts";
import { migrateByWrangler, ownTablesOf } from "./migrations.ts";

/** Migrates local databases, or those of an environment of the deployment. Returns a sentence that names the sources. */
export async function migrateSources(where: "--local" | "--remote", environment: string | undefined): Promise<string> {
  const configPath = path.join(root, "wrangler.jsonc");
  const config = await loadOwnConfig();
  requireBindings(config, configPath, environment);
  const ownTables = ownTablesOf(config);
  await migrateByWrangler(ownTables, configPath, where, environment);
  const names = ownTables.map(({ source }) => source).join(", ");
  return names === "" ? "No source needs tables of Gatehouse." : `Up to date: ${names}.`;
}
