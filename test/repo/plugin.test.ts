// Checks that the plugin's files for each client agree, name existing files and have the repository's version, and that the entry for the
// MCP registry has the form that the registry accepts.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "zod";

const ROOT = path.resolve(import.meta.dirname, "../..");
const json = (file: string): unknown => JSON.parse(readFileSync(path.join(ROOT, file), "utf8"));

const manifest = z.looseObject({
  name: z.string(),
  version: z.string(),
  description: z.string(),
  author: z.object({ name: z.string() }),
  license: z.string(),
  keywords: z.array(z.string()),
});
const marketplace = z.looseObject({
  name: z.string(),
  owner: z.object({ name: z.string() }),
  plugins: z.tuple([z.strictObject({ name: z.string(), source: z.string(), description: z.string() })]),
});
const servers = z.strictObject({
  mcpServers: z.strictObject({ gatehouse: z.strictObject({ type: z.literal("http").optional(), url: z.string() }) }),
});

const { version, license } = z.object({ version: z.string(), license: z.string() }).parse(json("package.json"));
const claude = manifest.parse(json("plugin/.claude-plugin/plugin.json"));
const cursor = manifest.parse(json("plugin/.cursor-plugin/plugin.json"));

describe("the plugin", () => {
  it("has the repository's version and licence in the manifest of each client", () => {
    expect(claude).toMatchObject({ name: "gatehouse", version, license });
    const common = (full: z.output<typeof manifest>) => z.object(manifest.shape).parse(full);
    expect(common(cursor)).toEqual(common(claude));
  });

  it("is listed in each client's marketplace file with the manifest's name and description", () => {
    const lists = [".claude-plugin/marketplace.json", ".cursor-plugin/marketplace.json"].map((file) =>
      marketplace.parse(json(file)),
    );
    for (const { plugins } of lists) {
      const [{ name, source, description }] = plugins;
      expect({ name, description }).toEqual({ name: claude.name, description: claude.description });
      expect(path.resolve(ROOT, source)).toBe(path.join(ROOT, "plugin"));
    }
  });

  it("has one folder of skills that both clients read", () => {
    // Claude Code finds skills/ by default.
    expect(claude).not.toHaveProperty("skills");
    expect(cursor).toMatchObject({ skills: "./skills/", mcpServers: "./mcp.json" });
    const names = readdirSync(path.join(ROOT, "plugin/skills"));
    expect(names).toHaveLength(4);
    for (const name of names) {
      const text = readFileSync(path.join(ROOT, "plugin/skills", name, "SKILL.md"), "utf8");
      expect(text).toMatch(new RegExp(`^---\nname: ${name}\ndescription: .{40,400}\n---\n`));
      expect(readFileSync(path.join(ROOT, "plugin/README.md"), "utf8")).toContain(`\`${name}\``);
    }
  });

  it("connects to the URL that the user configured", () => {
    const option = z.object({ userConfig: z.object({ url: z.object({ default: z.string() }) }) }).parse(claude);
    expect(servers.parse(json("plugin/.mcp.json")).mcpServers.gatehouse.url).toBe("${user_config.url}");
    expect(option.userConfig.url.default).toBe("http://localhost:8787/mcp");
    expect(servers.parse(json("plugin/mcp.json")).mcpServers.gatehouse.url).toBe("${env:GATEHOUSE_MCP_URL}");
  });
});

describe("the repository's .mcp.json", () => {
  it("names the URL of npm start, with PORT as npm start reads it", () => {
    const { gatehouse } = servers.parse(json(".mcp.json")).mcpServers;
    expect(gatehouse).toEqual({ type: "http", url: "http://localhost:${PORT:-8787}/mcp" });
  });
});

/**
 * The rules of the registry's schema of 2025-12-11 (static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json) for the fields
 * that server.json uses. Any other field fails.
 */
const registryEntry = z.strictObject({
  $schema: z.literal("https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"),
  name: z
    .string()
    .min(3)
    .max(200)
    .regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/),
  title: z.string().min(1).max(100),
  description: z.string().min(1).max(100),
  version: z
    .string()
    .max(255)
    .regex(/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/),
  remotes: z.array(
    z.strictObject({
      type: z.literal("streamable-http"),
      url: z.string().regex(/^https?:\/\/\S+$/),
      variables: z.record(
        z.string(),
        z.strictObject({ description: z.string(), isRequired: z.boolean(), placeholder: z.string() }),
      ),
    }),
  ),
});

describe("server.json", () => {
  const entry = registryEntry.parse(json("server.json"));

  it("has the repository's version", () => {
    expect(entry.version).toBe(version);
  });

  it("declares exactly the variables of its URL template, and fills them to a URL", () => {
    for (const { url, variables } of entry.remotes) {
      const placeholders = [...url.matchAll(/\{([^}]+)\}/g)].map((match) => match[1] ?? "");
      expect(Object.keys(variables).toSorted()).toEqual(placeholders.toSorted());
      const filled = placeholders.reduce(
        (text, name) => text.replace(`{${name}}`, variables[name]?.placeholder ?? ""),
        url,
      );
      expect(new URL(filled).pathname).toBe("/mcp");
    }
  });
});
