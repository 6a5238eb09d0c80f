// Tests `npm run deploy -- --dry-run`, which builds a deployment without the network.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** A proxy address where nothing listens. */
const NO_NETWORK = { HTTPS_PROXY: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" };
const MAX_GZIP_BYTES = 700 * 1024;

it("npm run deploy -- --dry-run builds without the network, within the size limit and without the sample", () => {
  const outDir = mkdtempSync(path.join(tmpdir(), "gatehouse-deploy-"));
  try {
    const result = spawnSync(process.execPath, ["cli/main.ts", "deploy", "--dry-run", "--outdir", outDir], {
      cwd: ROOT,
      encoding: "utf8",
      env: { ...process.env, ...NO_NETWORK },
    });
    expect(result.status, result.stderr).toBe(0);
    const bundle = readFileSync(path.join(outDir, "index.js"));
    expect(gzipSync(bundle).length).toBeLessThan(MAX_GZIP_BYTES);
    for (const word of ["harbor.example", "Harbor Supply", "SHOP_DB"]) {
      expect(bundle.includes(word), word).toBe(false);
      expect(result.stdout).not.toContain(word);
    }
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
}, 60_000);
