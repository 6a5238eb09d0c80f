// Checks that commands print through cli/kit/terminal.ts and the Worker logs through src/app/bindings.ts, which escape control characters
// in names that other parties chose.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { AppError } from "../../src/errors.ts";
import { print, printDefect, printFailure, printLines, printLog } from "../../cli/kit/terminal.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

function filesThatPrint(folder: string): readonly string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => path.join(folder, file))
    .filter((file) => /\bconsole\.|\bstd(?:out|err)\.write\(/.test(readFileSync(path.join(ROOT, file), "utf8")));
}

it.each([
  ["cli", ["cli/kit/terminal.ts"]],
  ["scripts", []],
  ["src", ["src/app/bindings.ts"]],
])("only the escaping module of %s prints", (folder, modules) => {
  expect(filesThatPrint(folder)).toEqual(modules);
});

describe("the output of commands", () => {
  const HOSTILE = "a\u001b[2K\u009b1A\u202eb\u200b";
  const ESCAPED = "aU+001B[2KU+009B1AU+202EbU+200B";
  afterEach(() => void vi.restoreAllMocks());

  function printed(work: () => void): string {
    const texts: string[] = [];
    for (const name of ["log", "error"] as const)
      vi.spyOn(console, name).mockImplementation((text: unknown) => void texts.push(String(text)));
    work();
    return texts.join("\n");
  }

  it("has control characters escaped, whichever function prints", () => {
    expect(printed(() => printLines([HOSTILE, "second"]))).toBe(`${ESCAPED}\nsecond`);
    expect(printed(() => print(`${HOSTILE}\n\tsecond`))).toBe(`${ESCAPED}\n\tsecond`);
    expect(printed(() => printLog(HOSTILE, false))).toBe(ESCAPED);
    expect(printed(() => printLog(HOSTILE, true))).toContain(ESCAPED);
    expect(printed(() => printFailure(new Error(HOSTILE)))).toBe(ESCAPED);
    expect(printed(() => printFailure(new AppError("not_found", HOSTILE)))).toBe(ESCAPED);
    expect(printed(() => printDefect(new Error(HOSTILE)))).toContain(`Error: ${ESCAPED}\n    at `);
  });

  it("has each entry of a list on its own line", () => {
    expect(printed(() => printLines(["one\nforged", "two"]))).toBe("oneU+000Aforged\ntwo");
  });

  it("shows a failure without a stack", () => {
    expect(printed(() => printFailure(new Error("Give a command.")))).toBe("Give a command.");
  });
});
