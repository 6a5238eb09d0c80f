// `npm run migrate`: makes Gatehouse's own tables in the databases of the deployment, through wrangler. `-- --local` does it in
// this machine's, as `npm start` does. It can be repeated.
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "./build.ts";
import { migrateRemote } from "./migrations.ts";
import { loadOwnConfig, requireBindings } from "./policy-file.ts";

const { values } = parseArgs({ options: { local: { type: "boolean", default: false } } });
const configPath = path.join(root, "wrangler.jsonc");

try {
  const config = await loadOwnConfig();
  requireBindings(config, configPath);
  const migrated = await migrateRemote(config, configPath, values.local ? "--local" : "--remote");
  console.log(migrated.length === 0 ? "No source needs tables of Gatehouse." : `Up to date: ${migrated.join(", ")}.`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
