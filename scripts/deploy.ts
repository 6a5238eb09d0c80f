// `npm run deploy`: checks the policy file, makes Gatehouse's own tables in the databases, checks the types, then hands the deployment of ../wrangler.jsonc to wrangler.
// `-- --dry-run` builds it without the network. The sample has a configuration of its own and is never deployed.
import path from "node:path";
import { root, runTool } from "./build.ts";
import { migrateRemote } from "./migrations.ts";
import { loadOwnConfig, requireBindings } from "./policy-file.ts";
import { requireSignIn } from "./sign-in.ts";

const passed = process.argv.slice(2);
const configPath = path.join(root, "wrangler.jsonc");

try {
  const config = await loadOwnConfig();
  requireBindings(config, configPath);
  requireSignIn(configPath);
  if (!passed.includes("--dry-run")) await migrateRemote(config, configPath, "--remote");
  console.log("Checking types …");
  await runTool("tsc", ["-p", "tsconfig.json"]);
  console.log(await runTool("wrangler", ["deploy", "--config", configPath, ...passed]));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
