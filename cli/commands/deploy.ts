// `gatehouse deploy`
import { usageError } from "../kit/cli-error.ts";
import { collect } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";

interface Options {
  readonly env?: string;
  readonly secretsFile?: string;
  readonly set: readonly string[];
  readonly dryRun?: boolean;
  readonly outdir?: string;
}

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../deploy/deploy.ts");
const loadDryRun = async () => import("../deploy/dry-run.ts");

/** Adds the command to the program. */
export function addDeploy(program: CliCommand): void {
  program
    .command("deploy")
    .summary("Deploys to your Cloudflare account.")
    .description(
      "Brings a deployment in line with wrangler.jsonc and the policy file: databases, tables, secrets and the Worker. An interrupted run can be run again. docs/deploying.md explains it.",
    )
    .option("--env <name>", "an environment of wrangler.jsonc; the first deployment to it adds it")
    .option("--set <NAME=value>", "a variable to write to wrangler.jsonc first; repeatable", collect, [])
    .option("--secrets-file <file>", "secrets to set, as NAME=value lines or JSON")
    .option(
      "--dry-run",
      "build the Worker and list what a deployment would create or change, without changing anything",
    )
    .option("--outdir <folder>", "with --dry-run: keep the built Worker there")
    .examples(
      "npm run deploy",
      "npm run deploy -- --set GATEHOUSE_SIGN_IN=oidc --set OIDC_ISSUER=https://id.example.com",
      "npm run deploy -- --dry-run",
    )
    .action(async ({ env: environment, secretsFile, set: variables, dryRun, outdir }: Options) => {
      if (dryRun === true && variables.length > 0)
        throw usageError("--set writes to wrangler.jsonc, and --dry-run changes nothing. Use one of them.");
      if (dryRun !== true && outdir !== undefined)
        throw usageError("--outdir keeps the Worker that --dry-run builds. Without --dry-run it has no effect.");
      return dryRun === true
        ? (await loadDryRun()).dryRun({ environment, secretsFile, variables, outDir: outdir })
        : (await load()).deployWorker({ environment, secretsFile, variables });
    });
}
