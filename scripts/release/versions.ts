// The version of a release stands in several files; all that are there must say the same.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { passedIf } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

/** Files with a version: where it stands in each. */
const MANIFESTS: readonly string[] = [
  "package.json",
  "package-lock.json",
  "server.json",
  ".claude-plugin/marketplace.json",
  ".claude-plugin/plugin.json",
  ".cursor-plugin/plugin.json",
  "plugin/.claude-plugin/plugin.json",
  "plugin/.cursor-plugin/plugin.json",
];

const manifestSchema = z.object({
  version: z.string().optional(),
  metadata: z.object({ version: z.string().optional() }).optional(),
  plugins: z.array(z.object({ version: z.string().optional() })).optional(),
});

/** Compares them, and the newest heading of the changelog, with package.json. */
export function checkVersions(root: string): Outcome {
  const found = MANIFESTS.filter((file) => existsSync(path.join(root, file))).flatMap((file) => {
    const parsed = manifestSchema.parse(JSON.parse(readFileSync(path.join(root, file), "utf8")));
    const versions = [parsed.version, parsed.metadata?.version, ...(parsed.plugins ?? []).map((one) => one.version)];
    return versions.filter((version) => version !== undefined).map((version) => ({ file, version }));
  });
  const newest = /^## (\S+)/m.exec(readFileSync(path.join(root, "CHANGELOG.md"), "utf8"))?.[1] ?? "none";
  const all = [...found, { file: "CHANGELOG.md", version: newest }];
  const [wanted] = all;
  return passedIf(
    all.every(({ version }) => version === wanted?.version),
    all.map(({ file, version }) => `${file} ${version}`).join(", "),
  );
}
