// What is in the repository is safe to deploy: no secret value, no way around a sign-in, and never the sample.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { experimental_readRawConfig } from "wrangler";
import { SET_UP_PATH } from "../../scripts/deploy/report.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

/** Made by a deployment; a line of them would take their place with a value that everybody knows. */
const MADE = ["GATEHOUSE_SETUP_CODE", "GATEHOUSE_TOKEN_KEY"];

describe("what a deployment takes from the repository", () => {
  it(".dev.vars.example has names without values, none that a deployment makes and none that chooses the sign-in", () => {
    const lines = read(".dev.vars.example")
      .split("\n")
      .filter((line) => line.trim() !== "" && !line.startsWith("#"));
    for (const line of lines) expect(line).toMatch(/^[A-Z][A-Z0-9_]*=$/);
    const names = lines.map((line) => line.slice(0, -1));
    expect(names.filter((name) => MADE.includes(name) || /SIGN_IN|SAMPLE|BYPASS|SKIP|DEV/.test(name))).toEqual([]);
    expect(readdirSync(ROOT).filter((name) => /^\.(?:dev\.vars|env)/.test(name) && !name.endsWith(".example"))).toEqual(
      [],
    );
  });

  it("every binding and variable that it has to choose is described for the deploy button", () => {
    const { cloudflare, scripts } = JSON.parse(read("package.json"));
    const { rawConfig } = experimental_readRawConfig({ config: path.join(ROOT, "wrangler.jsonc") });
    const bindings = [...(rawConfig.d1_databases ?? []), ...(rawConfig.kv_namespaces ?? [])].map(
      (one: { readonly binding: string }) => one.binding,
    );
    expect(bindings.length).toBeGreaterThan(0);
    for (const name of [...bindings, "GATEHOUSE_URL"])
      expect(cloudflare.bindings[name]?.description, name).toMatch(/\S.{20,}/);
    expect(scripts.deploy).toBe("node scripts/deploy.ts");
  });

  it("wrangler.jsonc names no account, no real database, no sample and no sign-in without a password", () => {
    const text = read("wrangler.jsonc");
    expect(text).not.toMatch(/account_id|sample|SHOP_DB|[0-9a-f]{8}-[0-9a-f]{4}-|"[0-9a-f]{32}"/);
  });

  it("a deployment tells the page where its set-up code is entered", () => {
    expect(read("src/web/set-up.tsx")).toContain(`SET_UP_PATH = "${SET_UP_PATH}"`);
  });

  it("every command of an operator works in a fresh clone, whatever Node is there: it installs first", () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
    const own = Object.keys(scripts).filter((name) => /^(?:exec )?node scripts\/(?!install)/.test(scripts[name] ?? ""));
    expect(own.length).toBeGreaterThan(8);
    for (const name of [...own, "test", "format", "bench", "bench:sql"])
      expect(scripts[`pre${name}`], name).toBe("node scripts/install.mjs");
  });

  it("no command deploys the sample", () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
    for (const [name, command] of Object.entries(scripts))
      if (/deploy/.test(name + command)) expect(command, name).not.toContain("sample");
    const deployment = readdirSync(path.join(ROOT, "scripts/deploy")).map((file) => `scripts/deploy/${file}`);
    for (const file of ["scripts/deploy.ts", ...deployment]) expect(read(file), file).not.toMatch(/sample\//);
  });

  it("a migration that takes something away says since when nothing uses it", () => {
    const folder = path.join(ROOT, "migrations");
    const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".sql")) : [];
    for (const file of files) {
      const sql = read(`migrations/${file}`);
      const takesAway = /\bDROP\s+(?:TABLE|COLUMN|VIEW|TRIGGER)\b|\bRENAME\s+(?:TO|COLUMN)\b/i.test(
        sql.replace(/--.*$/gm, ""),
      );
      if (takesAway) expect(sql, file).toMatch(/^-- contract: nothing uses this since \d+\.\d+\.\d+/);
    }
  });
});
