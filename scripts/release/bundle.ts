// The Worker as it would be uploaded: its size, what is in it and under which licences, how long it takes to start.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import * as z from "zod";
import packageJson from "../../package.json" with { type: "json" };
import { buildWorker, root } from "../build.ts";
import { freeAddresses, originOf, startLocal } from "../local.ts";
import { passedIf } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

const MAX_GZIP_KIB = 700;
/** The platform refuses a Worker whose first code runs longer; a whole process is held to it here. */
const MAX_START_MS = 1000;
const STARTS = 5;
const LICENCES = ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD"];

const metafileSchema = z.object({ inputs: z.record(z.string(), z.unknown()) });
const packageSchema = z.object({ name: z.string(), version: z.string(), license: z.string().optional() });

export interface Bundle {
  readonly folder: string;
  readonly report: string;
}

/** Builds it, lets it be looked at, and removes it. */
export async function withBundle<T>(look: (bundle: Bundle) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-bundle-"));
  try {
    const report = await buildWorker(path.join(root, "wrangler.jsonc"), folder, ["--metafile"]);
    return await look({ folder, report });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As wrangler reports it. */
export function checkSize({ report }: Bundle): Outcome {
  const line = /Total Upload: .*gzip: ([0-9.]+) KiB/.exec(report);
  if (line === null) return { state: "failed", saw: "wrangler reported no size" };
  return passedIf(Number(line[1]) <= MAX_GZIP_KIB, `${line[0]}, of at most ${MAX_GZIP_KIB} KiB`);
}

/** Every package that a file of the bundle comes from, and all that package.json depends on: compiled files are not told of. */
export function checkLicences({ folder }: Bundle): Outcome {
  const { inputs } = metafileSchema.parse(JSON.parse(readFileSync(path.join(folder, "bundle-meta.json"), "utf8")));
  const declared = Object.keys(packageJson.dependencies).map((name) => `node_modules/${name}`);
  const folders = new Set([...declared, ...Object.keys(inputs).flatMap((file) => packageFolder(file) ?? [])]);
  const packages = [...folders].map((at) =>
    packageSchema.parse(JSON.parse(readFileSync(path.join(root, at, "package.json"), "utf8"))),
  );
  const wrong = packages.filter(({ license }) => license === undefined || !LICENCES.includes(license));
  const shown = packages.map(({ name, version, license }) => `${name} ${version} ${license ?? "without a licence"}`);
  return passedIf(
    packages.length > 0 && wrong.length === 0,
    `${packages.length} packages: ${shown.toSorted().join(", ")}${wrong.length === 0 ? "" : `. Not allowed: ${wrong.map(({ name }) => name).join(", ")}`}`,
  );
}

/** `…/node_modules/@scope/name/dist/x.js` → `node_modules/@scope/name`, of the innermost. */
function packageFolder(file: string): string | undefined {
  return /^.*?((?:node_modules\/(?:@[^/]+\/)?[^/]+\/?)+)(?=\/|$)/.exec(file)?.[1];
}

/** From the start of the runtime to its first answer, on this machine. */
export async function checkStart({ folder }: Bundle): Promise<Outcome> {
  const times: number[] = [];
  for (let count = 0; count < STARTS; count += 1)
    times.push(await startOnce(folder, 20_000 + ((process.pid + count) % 20_000)));
  const [best = Infinity] = times.toSorted((one, other) => one - other);
  return passedIf(
    best <= MAX_START_MS,
    `first answer ${Math.round(best)} ms after the start, best of ${STARTS}, of at most ${MAX_START_MS} ms`,
  );
}

async function startOnce(bundleDir: string, port: number): Promise<number> {
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-start-"));
  mkdirSync(stateDir, { recursive: true });
  try {
    const addresses = await freeAddresses(port);
    if (addresses === undefined) throw new Error(`port ${port} is in use`);
    const began = performance.now();
    const { miniflare } = await startLocal({
      configPath: path.join(root, "wrangler.jsonc"),
      bundleDir,
      port,
      addresses,
      stateDir,
    });
    await (await fetch(originOf(port))).text();
    const took = performance.now() - began;
    await miniflare.dispose();
    return took;
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}
