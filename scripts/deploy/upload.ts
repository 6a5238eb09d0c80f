// The Worker itself: built, held against what is deployed, and uploaded by wrangler when they differ.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { runTool } from "../build.ts";
import type { DeployedWorker } from "./platform.ts";
import { configPath, readConfiguration } from "./settings.ts";
import type { DeploySettings } from "./settings.ts";

/** Characters of a version's tag that are a hash; the platform takes short ones only. */
const HASH_LENGTH = 12;

/** A name for exactly this code with this configuration, such as `0.1.0-3f9a0c…`. */
export async function buildTag({ environment }: DeploySettings): Promise<string> {
  const outDir = mkdtempSync(path.join(tmpdir(), "gatehouse-deploy-"));
  try {
    await runTool("wrangler", [...wranglerArguments("deploy", environment), "--dry-run", "--outdir", outDir]);
    const hash = createHash("sha256");
    // Source maps tell of the folder that it was built in.
    for (const file of readdirSync(outDir)
      .filter((name) => /\.(?:js|wasm)$/.test(name))
      .toSorted())
      hash
        .update(file)
        .update("\0")
        .update(readFileSync(path.join(outDir, file)));
    hash.update(JSON.stringify(configurationOf(environment)));
    return `${packageJson.version}-${hash.digest("hex").slice(0, HASH_LENGTH)}`;
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
}

/** All that wrangler makes of the file, without where the file is. */
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

/** Whether what hangs on the Worker beside its version is as the configuration wants it. */
export function triggersAgree(settings: DeploySettings, deployed: DeployedWorker): boolean {
  const domains = settings.routes.filter(({ isCustomDomain }) => isCustomDomain).map(({ pattern }) => pattern);
  return (
    sameItems(settings.crons, deployed.crons) &&
    sameItems(domains, deployed.domains) &&
    settings.isOnWorkersDev === deployed.isOnWorkersDev &&
    // Routes of a zone are not looked up: wrangler adds those that are missing.
    domains.length === settings.routes.length
  );
}

export async function uploadWorker(
  { environment }: DeploySettings,
  tag: string,
  secrets: string | undefined,
): Promise<void> {
  const withSecrets = secrets === undefined ? [] : ["--secrets-file", secrets];
  await runTool("wrangler", [...wranglerArguments("deploy", environment), "--tag", tag, ...withSecrets]);
}

export async function deployTriggers({ environment }: DeploySettings): Promise<void> {
  await runTool("wrangler", wranglerArguments("triggers deploy", environment));
}

/** An empty `--env` says that the top of the file is meant, where it has environments too. */
export function wranglerArguments(command: string, environment: string | undefined): string[] {
  return [...command.split(" "), "--config", configPath, "--env", environment ?? ""];
}

function sameItems(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.toSorted().join("\n") === other.toSorted().join("\n");
}
