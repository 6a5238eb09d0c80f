// Adds a database to wrangler.jsonc and removes it: only Gatehouse's own lines change, and everything else stays as the operator wrote it.
// Restores files when a command that changes several of them fails.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { applyEdits, createScanner, findNodeAtLocation, modify, parseTree } from "jsonc-parser";
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

/** Removes a database from the text of a configuration, in every environment. Everything else stays, comments included. */
export function removeDatabase(text: string, binding: string): string {
  const root = parseTree(text, [], { allowTrailingComma: true });
  const environments = root === undefined ? undefined : findNodeAtLocation(root, ["env"]);
  const scopes = [root, ...(environments?.children ?? []).map((property) => property.children?.[1])];
  for (const scope of scopes) {
    const list = scope === undefined ? undefined : findNodeAtLocation(scope, ["d1_databases"]);
    const entries = list?.type === "array" ? (list.children ?? []) : [];
    const index = entries.findIndex((entry) => findNodeAtLocation(entry, ["binding"])?.value === binding);
    const entry = entries[index];
    if (list === undefined || entry === undefined) continue;
    return removeDatabase(cutEntry(text, list, entry, entries[index - 1]), binding);
  }
  return text;
}

/** Cuts an entry with its comma, or with that of the entry before when it has none, and its line if nothing else is on it. */
function cutEntry(text: string, list: Node, entry: Node, previous: Node | undefined): string {
  const entryEnd = entry.offset + entry.length;
  const ownComma = findComma(text, entryEnd, list.offset + list.length);
  const end = ownComma === undefined ? entryEnd : ownComma + 1;
  const lineStart = text.lastIndexOf("\n", entry.offset - 1) + 1;
  const isAlone = text.slice(lineStart, entry.offset).trim() === "" && /^[ \t]*\r?(?:\n|$)/.test(text.slice(end));
  const lineEnd = text.indexOf("\n", end) + 1;
  const rest = isAlone && lineEnd > 0 ? text.slice(lineEnd) : text.slice(end).replace(/^[ \t]+/, "");
  const before = text.slice(0, isAlone ? lineStart : entry.offset);
  const comma =
    ownComma === undefined && previous !== undefined
      ? findComma(text, previous.offset + previous.length, entry.offset)
      : undefined;
  return comma === undefined ? before + rest : before.slice(0, comma) + before.slice(comma + 1) + rest;
}

/** Finds the comma with which this part begins, after spaces and comments. */
function findComma(text: string, start: number, end: number): number | undefined {
  const scanner = createScanner(text.slice(start, end), true);
  scanner.scan();
  const offset = start + scanner.getTokenOffset();
  return offset < end && text.charAt(offset) === "," ? offset : undefined;
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
export async function restoreOnFailure<Result>(files: readonly string[], work: () => Promise<Result>): Promise<Result> {
  const before = files.map((file) => (existsSync(file) ? readFileSync(file) : undefined));
  try {
    return await work();
  } catch (error) {
    for (const [index, file] of files.entries()) {
      const content = before[index];
      if (content === undefined) rmSync(file, { force: true });
      else replaceFile(file, content);
    }
    throw error;
  }
}
