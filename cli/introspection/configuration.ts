// Adds a database to wrangler.jsonc: only Gatehouse's own lines change, and everything else stays as the operator wrote it. Restores
// files when a command that changes several of them fails.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { applyEdits, findNodeAtLocation, modify, parseTree } from "jsonc-parser";
import type { Node } from "jsonc-parser";

/** A database as wrangler.jsonc declares it. */
export interface DatabaseEntry {
  readonly binding: string;
  readonly database_name: string;
  readonly database_id: string;
}

/** Adds a database to the text of a configuration. Comments, order, indentation and line ends stay. */
export function addDatabase(text: string, entry: DatabaseEntry): string {
  const root = parseTree(text, [], { allowTrailingComma: true });
  const list = root === undefined ? undefined : findNodeAtLocation(root, ["d1_databases"]);
  const formattingOptions = { ...indentationOf(text), eol: text.includes("\r\n") ? "\r\n" : "\n" };
  const edits =
    list?.type === "array"
      ? modify(text, ["d1_databases", list.children?.length ?? 0], entry, { formattingOptions, isArrayInsertion: true })
      : modify(text, ["d1_databases"], [entry], { formattingOptions });
  const added = applyEdits(text, edits);
  const last = list?.children?.at(-1);
  if (list === undefined || last === undefined || !hasTrailingComma(text, list, last)) return added;
  const lastProperty = findEntry(added, list.children?.length ?? 0)?.children?.at(-1);
  const end = (lastProperty?.offset ?? 0) + (lastProperty?.length ?? 0);
  return lastProperty === undefined ? added : `${added.slice(0, end)},${added.slice(end)}`;
}

function hasTrailingComma(text: string, list: Node, last: Node): boolean {
  const rest = text.slice(last.offset + last.length, list.offset + list.length);
  return /^\s*,/.test(rest);
}

function findEntry(text: string, index: number): Node | undefined {
  const root = parseTree(text, [], { allowTrailingComma: true });
  return root === undefined ? undefined : findNodeAtLocation(root, ["d1_databases", index]);
}

function indentationOf(text: string): { readonly insertSpaces: boolean; readonly tabSize: number } {
  const [, indent = "  "] = /^([ \t]+)\S/m.exec(text) ?? [];
  return { insertSpaces: !indent.startsWith("\t"), tabSize: indent.startsWith("\t") ? 1 : indent.length };
}

/** Renames a complete file into place, so that a crash leaves no half-written one. */
export function replaceFile(file: string, text: string | Buffer): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** Does `work`. When it throws, gives these files the content that they had before, and removes those that did not exist. */
export async function restoreOnFailure(files: readonly string[], work: () => Promise<void>): Promise<void> {
  const before = files.map((file) => (existsSync(file) ? readFileSync(file) : undefined));
  try {
    await work();
  } catch (error) {
    for (const [index, file] of files.entries()) {
      const content = before[index];
      if (content === undefined) rmSync(file, { force: true });
      else replaceFile(file, content);
    }
    throw error;
  }
}
