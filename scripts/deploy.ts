// `npm run deploy`: type-checks, then hands the deployment of ../wrangler.jsonc to wrangler. `-- --dry-run` builds it
// without the network. The sample has a configuration of its own and is never deployed.
import path from "node:path";
import { root, runTool } from "./build.ts";

const passed = process.argv.slice(2);

try {
  console.log("Checking types …");
  await runTool("tsc", ["-p", "tsconfig.json"]);
  console.log(await runTool("wrangler", ["deploy", "--config", path.join(root, "wrangler.jsonc"), ...passed]));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
