// `npm run release:check`: runs every check that must pass before a release, and prints what each found. Exits with 0 when all passed,
// 1 when one failed, and 2 when none failed but one could not run here. `-- --without-tests` skips `npm test`.
import { parseArgs } from "node:util";
import { root } from "../cli/project/tools.ts";
import { checkLicences, checkSize, checkStart, withBundle } from "./release/bundle.ts";
import { checkCommitted, checkFirstUse, checkTests, withClone } from "./release/clone.ts";
import type { Outcome, State } from "./release/outcome.ts";
import { checkGeneratedTypes, checkVulnerabilities } from "./release/tools.ts";
import { checkVersions } from "./release/versions.ts";
import { print } from "../cli/kit/terminal.ts";

const { values } = parseArgs({ options: { "without-tests": { type: "boolean", default: false } } });
const MARKS: Readonly<Record<State, string>> = { passed: "ok     ", failed: "FAILED ", unknown: "UNKNOWN" };
const states: State[] = [];

/** Runs and prints a check. A check that throws has failed; the others still run. */
async function check(name: string, run: () => Outcome | Promise<Outcome>): Promise<void> {
  let outcome: Outcome;
  try {
    outcome = await run();
  } catch (error) {
    outcome = { state: "failed", saw: error instanceof Error ? error.message : "no reason given" };
  }
  states.push(outcome.state);
  print(`${MARKS[outcome.state]} ${name}: ${outcome.saw}`);
}

await check("committed", checkCommitted);
await check("versions", () => checkVersions(root));
await check("generated types", checkGeneratedTypes);
await check("vulnerabilities", checkVulnerabilities);
await withBundle(async (bundle) => {
  await check("size", () => checkSize(bundle));
  await check("licences", () => checkLicences(bundle));
  await check("start", () => checkStart(bundle));
});
await withClone(async (folder) => {
  await check("first use", () => checkFirstUse(folder));
  if (values["without-tests"]) print("skipped tests: --without-tests");
  else await check("tests", () => checkTests(folder));
});
process.exitCode = states.includes("failed") ? 1 : states.includes("unknown") ? 2 : 0;
