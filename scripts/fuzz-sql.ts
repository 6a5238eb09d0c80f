// `npm run fuzz:sql -- --minutes 10 [--seed 7]`: runs the fuzzers of governed SQL for that long, from that seed or one of the clock.
import { spawn } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "../cli/project/tools.ts";
import { printAside } from "../cli/kit/terminal.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
for (const [name, value] of Object.entries(values)) {
  if (Number.isFinite(Number(value)) && Number(value) > 0) continue;
  printAside(`--${name} is ${JSON.stringify(value)}. It takes a number greater than 0.`);
  process.exit(1);
}
const vitest = path.join(root, "node_modules", ".bin", "vitest");
const child = spawn(process.execPath, [vitest, "run", "--project", "workers", "test/sql/fuzz"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, FUZZ_MINUTES: values.minutes, FUZZ_SEED: values.seed },
});
child.on("exit", (status) => process.exit(status ?? 1));
