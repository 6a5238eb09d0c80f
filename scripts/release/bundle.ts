// Release checks of the Worker as it would be uploaded: its size, the licences of the packages in it, and its start time.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as z from "zod";
import packageJson from "../../package.json" with { type: "json" };
import { buildWorker, root } from "../../cli/project/tools.ts";
import { freeAddresses, originOf, startLocal } from "../../cli/local-server/local.ts";
import { passedIf } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

const MAX_GZIP_KIB = 750;
/** Cloudflare refuses a Worker whose startup code takes longer. Here the limit includes the start of the whole runtime. */
const MAX_START_MS = 1000;
const STARTS = 5;
const LICENCES = ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD"];

const metafileSchema = z.object({ inputs: z.record(z.string(), z.unknown()) });
const packageSchema = z.object({ name: z.string(), version: z.string(), license: z.string().optional() });

/** A built Worker and wrangler's output of the build. */
interface Bundle {
  readonly folder: string;
  readonly report: string;
}

/** Builds the Worker, passes it to `look`, and removes it afterwards. */
export async function withBundle<T>(look: (bundle: Bundle) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-bundle-"));
  try {
    const report = await buildWorker(path.join(root, "wrangler.jsonc"), folder, ["--metafile"]);
    return await look({ folder, report });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Checks the compressed size that wrangler reports. */
export function checkSize({ report }: Bundle): Outcome {
  const line = /Total Upload: .*gzip: ([0-9.]+) KiB/.exec(report);
  if (line === null) return { state: "failed", saw: "wrangler reported no size" };
  return passedIf(Number(line[1]) <= MAX_GZIP_KIB, `${line[0]}, with a limit of ${MAX_GZIP_KIB} KiB`);
}

/** Checks the licence of every package in the bundle and every dependency; the metafile does not list WebAssembly files. */
export function checkLicences({ folder }: Bundle): Outcome {
  const { inputs } = metafileSchema.parse(JSON.parse(readFileSync(path.join(folder, "bundle-meta.json"), "utf8")));
  const declared = Object.keys(packageJson.dependencies).map((name) => `node_modules/${name}`);
  const folders = new Set([...declared, ...Object.keys(inputs).flatMap((file) => packageFolder(file) ?? [])]);
  const packages = [...folders].map((packagePath) =>
    packageSchema.parse(JSON.parse(readFileSync(path.join(root, packagePath, "package.json"), "utf8"))),
  );
  const wrong = packages.filter(({ license }) => license === undefined || !LICENCES.includes(license));
  const list = packages.map(({ name, version, license }) => `${name} ${version} ${license ?? "without a licence"}`);
  const refusal = wrong.length === 0 ? "" : `. Not allowed: ${wrong.map(({ name }) => name).join(", ")}`;
  return passedIf(
    packages.length > 0 && wrong.length === 0,
    `${packages.length} packages: ${list.toSorted().join(", ")}${refusal}`,
  );
}

/** The folder of the innermost package: `…/node_modules/@scope/name/dist/x.js` gives `node_modules/@scope/name`. */
function packageFolder(file: string): string | undefined {
  return /^.*?((?:node_modules\/(?:@[^/]+\/)?[^/]+\/?)+)(?=\/|$)/.exec(file)?.[1];
}

/** Measures the time from the start of the runtime to its first answer on this machine. */
export async function checkStart({ folder }: Bundle): Promise<Outcome> {
  const times: number[] = [];
  for (let count = 0; count < STARTS; count += 1)
    times.push(await startOnce(folder, 20_000 + ((process.pid + count) % 20_000)));
  const best = Math.min(...times);
  return passedIf(
    best <= MAX_START_MS,
    `first answer ${Math.round(best)} ms after the start (best of ${STARTS}), with a limit of ${MAX_START_MS} ms`,
  );
}

async function startOnce(bundleDir: string, port: number): Promise<number> {
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-start-"));
  mkdirSync(stateDir, { recursive: true });
  try {
    const addresses = await freeAddresses(port);
    if (addresses === undefined) throw new Error(`port ${port} is in use`);
    const startedMs = performance.now();
    const { miniflare } = await startLocal({
      configPath: path.join(root, "wrangler.jsonc"),
      bundleDir,
      port,
      addresses,
      stateDir,
    });
    await (await fetch(originOf(port))).text();
    const tookMs = performance.now() - startedMs;
    await miniflare.dispose();
    return tookMs;
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}
