// `npm run migrate`: makes Gatehouse's own tables in the databases of sources, through wrangler: in those of the deployment
// (`-- --env staging` of another environment), or with `-- --local` in this machine's. Start and deploy do it too. It can be repeated.
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
  const wanted = ownTablesOf(config);
  await migrateByWrangler(wanted, configPath, values.local ? "--local" : "--remote", values.env);
  const names = wanted.map(({ source }) => source).join(", ");
  print(names === "" ? "No source needs tables of Gatehouse." : `Up to date: ${names}.`);
} catch (error) {
  printFailure(error);
  process.exit(1);
}
