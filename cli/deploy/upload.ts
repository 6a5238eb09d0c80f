// Builds the Worker, compares it with the deployed version, and has wrangler upload it when the two differ.
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { runTool } from "../project/tools.ts";
import type { DeployedWorker } from "../cloudflare-api/platform.ts";
import { configPath, readConfiguration } from "./settings.ts";
import type { DeploySettings } from "./settings.ts";

/** Hexadecimal characters of the hash in a version's tag; the platform limits the length of tags. */
const HASH_LENGTH = 12;

/** A built Worker. */
export interface BuiltWorker {
  /** Identifies exactly this code and configuration, such as `0.1.0-3f9a0c…`. */
  readonly tag: string;
  /** wrangler's output: sizes and bindings. */
  readonly output: string;
}

/** Builds the Worker, and keeps the files in `keptIn` if that is given. */
export async function buildTagged({ environment }: DeploySettings, keptIn?: string): Promise<BuiltWorker> {
  const outDir = mkdtempSync(path.join(tmpdir(), "gatehouse-deploy-"));
  try {
    const options = [...wranglerArguments("deploy", environment), "--dry-run", "--outdir", outDir];
    const output = await runTool("wrangler", options);
    const hash = createHash("sha256");
    // Source maps contain the path of the build folder, so they are not hashed.
    for (const file of readdirSync(outDir)
      .filter((name) => /\.(?:js|wasm)$/.test(name))
      .toSorted())
      hash
        .update(file)
        .update("\0")
        .update(readFileSync(path.join(outDir, file)));
    hash.update(JSON.stringify(configurationOf(environment)));
    if (keptIn !== undefined) cpSync(outDir, keptIn, { recursive: true });
    return { tag: `${packageJson.version}-${hash.digest("hex").slice(0, HASH_LENGTH)}`, output };
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
}

/** The normalised configuration without the paths of its files, which differ between machines. */
function configurationOf(environment: string | undefined): object {
  const {
    configPath: _path,
    userConfigPath: _user,
    main: _main,
    definedEnvironments: _others,
    ...rest
  } = readConfiguration(environment);
  return rest;
}

/** Whether the deployed cron triggers and addresses match the configuration. */
export function triggersAgree(settings: DeploySettings, deployed: DeployedWorker): boolean {
  const domains = settings.routes.filter(({ isCustomDomain }) => isCustomDomain).map(({ pattern }) => pattern);
  return (
    sameItems(settings.crons, deployed.crons) &&
    sameItems(domains, deployed.domains) &&
    settings.isOnWorkersDev === deployed.isOnWorkersDev &&
    // Zone routes are not read, so a configuration with routes never counts as equal; wrangler adds the missing ones.
    domains.length === settings.routes.length
  );
}

/** Uploads the Worker under a tag. `secrets` is the path of a file with secrets to set with it. */
export async function uploadWorker(
  { environment }: DeploySettings,
  tag: string,
  secrets: string | undefined,
): Promise<void> {
  const withSecrets = secrets === undefined ? [] : ["--secrets-file", secrets];
  await runTool("wrangler", [...wranglerArguments("deploy", environment), "--tag", tag, ...withSecrets]);
}

/** Sets the Worker's cron triggers and addresses without uploading code. */
export async function deployTriggers({ environment }: DeploySettings): Promise<void> {
  await runTool("wrangler", wranglerArguments("triggers deploy", environment));
}

/** Builds a wrangler command line. An empty `--env` selects the top level in a file that also has environments. */
export function wranglerArguments(command: string, environment: string | undefined): string[] {
  return [...command.split(" "), "--config", configPath, "--env", environment ?? ""];
}

function sameItems(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.toSorted().join("\n") === right.toSorted().join("\n");
}
