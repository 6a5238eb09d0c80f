// Release check of the version, which several files contain and which must be the same in all of them.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { passedIf } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

/** Files that may contain a version. Some are optional. */
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

/** Compares every manifest's version and the changelog's newest heading with package.json. */
export function checkVersions(root: string): Outcome {
  const manifestVersions = MANIFESTS.filter((file) => existsSync(path.join(root, file))).flatMap((file) => {
    const parsed = manifestSchema.parse(JSON.parse(readFileSync(path.join(root, file), "utf8")));
    const versions = [
      parsed.version,
      parsed.metadata?.version,
      ...(parsed.plugins ?? []).map((plugin) => plugin.version),
    ];
    return versions.filter((version) => version !== undefined).map((version) => ({ file, version }));
  });
  const newest = /^## (\S+)/m.exec(readFileSync(path.join(root, "CHANGELOG.md"), "utf8"))?.[1] ?? "none";
  const all = [...manifestVersions, { file: "CHANGELOG.md", version: newest }];
  const [first] = all;
  return passedIf(
    all.every(({ version }) => version === first?.version),
    all.map(({ file, version }) => `${file} ${version}`).join(", "),
  );
}
