// Release checks by npm and wrangler: generated types and known vulnerabilities.
import { spawnSync } from "node:child_process";
import * as z from "zod";
import { root, runTool } from "../../cli/project/tools.ts";
import { passedIf } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

const auditSchema = z.object({
  metadata: z.object({
    vulnerabilities: z.record(z.string(), z.number()),
    dependencies: z.looseObject({ total: z.number() }),
  }),
});

/** Checks that worker-configuration.d.ts matches wrangler.jsonc. */
export async function checkGeneratedTypes(): Promise<Outcome> {
  try {
    await runTool("wrangler", ["types", "--check", "--include-runtime=false", "--strict-vars=false"]);
    return { state: "passed", saw: "worker-configuration.d.ts is up to date" };
  } catch (error) {
    return { state: "failed", saw: error instanceof Error ? error.message : "wrangler types --check failed" };
  }
}

/** Asks the registry for known vulnerabilities of installed packages. `unknown` when the registry does not answer. */
export function checkVulnerabilities(): Outcome {
  const { stdout, stderr } = spawnSync("npm", ["audit", "--json"], { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 });
  const parsed = auditSchema.safeParse(parseJson(stdout));
  if (!parsed.success) {
    const reason = stderr.trim().split("\n")[0] ?? "";
    return {
      state: "unknown",
      saw: `the registry does not answer npm audit${reason === "" ? "" : ` (${reason})`}: run this where it does`,
    };
  }
  const { vulnerabilities, dependencies } = parsed.data.metadata;
  const total = vulnerabilities["total"] ?? 0;
  return passedIf(total === 0, `${total} known vulnerabilities in ${dependencies.total} packages`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // npm printed an error instead of JSON: it could not reach the registry.
    return undefined;
  }
}
