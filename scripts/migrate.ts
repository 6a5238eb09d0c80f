// `npm run migrate`: creates Gatehouse's own tables in the sources' databases, through wrangler: in the deployment's databases
// (`-- --env staging` for another environment), or with `-- --local` in local ones. It is idempotent, and start and deploy do it too.
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "./build.ts";
import { migrateByWrangler, ownTablesOf } from "./migrations.ts";
import { loadOwnConfig, requireBindings } from "./policy-file.ts";
import { print, printFailure } from "./terminal.ts";

const { values } = parseArgs({ options: { local: { type: "boolean", default: false }, env: { type: "string" } } });
const configPath = path.join(root, "wrangler.jsonc");

try {
  const config = await loadOwnConfig();
  requireBindings(config, configPath, values.env);
  const ownTables = ownTablesOf(config);
  await migrateByWrangler(ownTables, configPath, values.local ? "--local" : "--remote", values.env);
  const names = ownTables.map(({ source }) => source).join(", ");
  print(names === "" ? "No source needs tables of Gatehouse." : `Up to date: ${names}.`);
} catch (error) {
  printFailure(error);
  process.exit(1);
}
