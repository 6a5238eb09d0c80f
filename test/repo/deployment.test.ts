// Checks that the repository is safe to deploy: it has no secret values and no way around the sign-in, and the sample is never deployed.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { experimental_readRawConfig } from "wrangler";
import { SETUP_PATH } from "../../cli/deploy/report.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");

/** Secrets that a deployment generates. A value in the example file would replace them with one that everyone knows. */
const MADE = ["GATEHOUSE_AUDIT_KEY", "GATEHOUSE_SETUP_CODE", "GATEHOUSE_TOKEN_KEY"];

describe("the repository, when deployed", () => {
  it("has only names without values in .dev.vars.example, and neither generated secrets nor a sign-in method", () => {
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

  it("describes every binding and variable that the deploy button asks for", () => {
    const { cloudflare, scripts } = JSON.parse(read("package.json"));
    const { rawConfig } = experimental_readRawConfig({ config: path.join(ROOT, "wrangler.jsonc") });
    const bindings = [...(rawConfig.d1_databases ?? []), ...(rawConfig.kv_namespaces ?? [])].map(
      (store: { readonly binding: string }) => store.binding,
    );
    expect(bindings.length).toBeGreaterThan(0);
    for (const name of [...bindings, "GATEHOUSE_URL"])
      expect(cloudflare.bindings[name]?.description, name).toMatch(/\S.{20,}/);
    expect(scripts.deploy).toBe("node cli/main.ts deploy");
  });

  it("has no account, real database, sample or passwordless sign-in in wrangler.jsonc", () => {
    const text = read("wrangler.jsonc");
    expect(text).not.toMatch(/account_id|sample|SHOP_DB|[0-9a-f]{8}-[0-9a-f]{4}-|"[0-9a-f]{32}"/);
  });

  it("prints the path of the setup page that the Worker serves", () => {
    expect(read("src/pages/setup-page.tsx")).toContain(`SETUP_PATH = "${SETUP_PATH}"`);
  });

  it("installs packages before every command of an operator", () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
    const scriptCommands = Object.keys(scripts).filter((name) =>
      /^(?:exec )?node (?:cli\/main|scripts\/(?!install))/.test(scripts[name] ?? ""),
    );
    expect(scriptCommands.length).toBeGreaterThan(8);
    for (const name of [...scriptCommands, "test", "format", "bench", "bench:sql", "bench:analyst"])
      expect(scripts[`pre${name}`], name).toBe("node scripts/install.mjs");
  });

  it("builds the Worker of the sample, which tests run, as a deployment is built", () => {
    const [deployed, sample] = ["wrangler.jsonc", "sample/wrangler.jsonc"].map((file) => {
      const { rawConfig } = experimental_readRawConfig({ config: path.join(ROOT, file) });
      const {
        build,
        alias,
        minify,
        keep_names: keepNames,
        compatibility_date: date,
        compatibility_flags: flags,
      } = rawConfig;
      const targets: Record<string, string> = alias ?? {};
      const aliases = Object.entries(targets).map(([name, target]) => [
        name,
        path.resolve(ROOT, path.dirname(file), target),
      ]);
      return { build, aliases, minify, keepNames, date, flags };
    });
    expect(sample).toEqual(deployed);
    expect(deployed?.build).toEqual({ command: "node cli/project/sqlite-module.ts" });
    for (const [, target = ""] of deployed?.aliases ?? []) expect(existsSync(target), target).toBe(true);
  });

  it("has no command that deploys the sample", () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read("package.json"));
    for (const [name, command] of Object.entries(scripts))
      if (/deploy/.test(name + command)) expect(command, name).not.toContain("sample");
    const deployment = readdirSync(path.join(ROOT, "cli/deploy")).map((file) => `cli/deploy/${file}`);
    for (const file of ["cli/commands/deploy.ts", ...deployment]) expect(read(file), file).not.toMatch(/sample\//);
  });

  it("states in each destructive migration since which version nothing uses the removed part", () => {
    const folder = path.join(ROOT, "migrations");
    const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".sql")) : [];
    for (const file of files) {
      const sql = read(`migrations/${file}`);
      const takesAway = /\bDROP\s+(?:TABLE|COLUMN|VIEW|TRIGGER)\b|\bRENAME\s+(?:TO|COLUMN)\b/i.test(
        sql.replace(/--.*$/gm, ""),
      );
      // The one migration that broke the code before it, which was never released.
      const marker =
        file === "0007_vocabulary.sql"
          ? /^-- breaks: layout 0, which no release used\n/
          : /^-- contract: nothing uses this since \d+\.\d+\.\d+/;
      if (takesAway) expect(sql, file).toMatch(marker);
    }
  });
});
