// The examples as files of the repository: each is complete, linked and tested, and its README names its own files.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { codeBlocks } from "../support/markdown.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const EXAMPLES = readdirSync(path.join(ROOT, "examples"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

describe.each(EXAMPLES)("examples/%s", (name) => {
  it("has a README, a policy file, a schema and a test", () => {
    for (const file of ["README.md", "gatehouse.config.ts", "schema.sql"])
      expect(existsSync(path.join(ROOT, "examples", name, file)), file).toBe(true);
    expect(read(`test/examples/${name}.test.ts`)).toContain("listShownCalls(readme)");
  });

  it("is linked from README.md, docs/README.md and examples/README.md", () => {
    expect(read("README.md")).toContain(`(examples/${name}/README.md)`);
    expect(read("docs/README.md")).toContain(`(../examples/${name}/README.md)`);
    expect(read("examples/README.md")).toContain(`(${name}/README.md)`);
  });

  it("says how to try it, with its own database and policy file", () => {
    const readme = read(`examples/${name}/README.md`);
    expect(codeBlocks(readme, "jsonc")).toEqual([
      `{ "binding": "EXAMPLE_DB", "database_name": "${name}", "database_id": "${name}", "migrations_dir": "examples/${name}" },\n`,
    ]);
    expect(codeBlocks(readme, "ts")).toEqual([`export { default } from "../examples/${name}/gatehouse.config.ts";\n`]);
  });
});

describe("examples/custom-tool/overdue-invoices.ts", () => {
  it("imports what `npm run new:tool` writes, once the paths are those of src/server/tools/custom/", () => {
    const listImports = (text: string) => text.match(/^import .* from ".*";$/gm);
    const tool = read("examples/custom-tool/overdue-invoices.ts").replaceAll("../../src/server/kit/", "../../kit/");
    const [, template = ""] = /^function toolText[^`]*`([^]*?)^`;$/m.exec(read("cli/custom-tools/new-tool.ts")) ?? [];
    expect(listImports(tool)).toEqual(listImports(template));
    expect(listImports(tool)).toHaveLength(3);
  });
});
