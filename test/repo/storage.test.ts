// docs/storage.md names every table of every store with its columns, every object class and every binding.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(ROOT, file), "utf8");
const storage = read("docs/storage.md");

/** Folder whose SQL makes tables → the section about them. */
const SECTIONS: Readonly<Record<string, string>> = {
  "src/session": "Durable Object `SessionObject`",
  "src/hub": "Durable Object `HubObject`",
  "src/ledger": "Durable Object `LedgerObject`",
  "src/auth": "Durable Object `GrantObject`",
  migrations: "D1 database `GATEHOUSE_DB`",
  // What a migration cannot know: one table for each source of documents.
  "src/storage": "D1 database `GATEHOUSE_DB`",
  "src/sources": "In a source's own database",
};

/** Tables that the code names by a constant. */
const NAMES: Readonly<Record<string, string>> = {
  "${TOKEN_TABLE}": "_gatehouse_token",
  "${table}": "document_{source}_fts",
};
/** Each section with all the folders that it is about. */
const FOLDERS = Map.groupBy(Object.keys(SECTIONS), (folder) => SECTIONS[folder] ?? "");

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
}

/** The tables that SQL in a text makes. Of a virtual table the columns are its module's business, unless it is full text. */
function tablesIn(text: string): readonly Table[] {
  const made = text.matchAll(
    /CREATE (?:VIRTUAL )?TABLE (?:IF NOT EXISTS )?([\w${}]+)\s*(?:USING (?:fts5)\s*)?\(((?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*)\)/g,
  );
  return [...made].map(([, name = "", body = ""]) => ({ name: NAMES[name] ?? name, columns: columnsOf(body) }));
}

function columnsOf(body: string): readonly string[] {
  // Commas inside parentheses do not part columns.
  const parts = body
    .replaceAll(/--.*$/gm, "")
    .replaceAll(/\((?:[^()]|\([^()]*\))*\)/g, "")
    .split(",");
  const isConstraint = /^(?:PRIMARY|UNIQUE|CHECK|FOREIGN|CONSTRAINT)\b|=|^$/i;
  const isSingleton = /^id INTEGER PRIMARY KEY CHECK/;
  return parts
    .map((part) => part.trim())
    .filter((part) => !isConstraint.test(part) && !isSingleton.test(part))
    .map((part) => part.split(/\s/)[0] ?? "");
}

function sectionOf(heading: string): string {
  return storage.split(/^## /m).find((part) => part.startsWith(heading)) ?? "";
}

function textOf(folder: string): string {
  const files = readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" });
  const wanted = files.filter((file) => /\.(?:ts|sql)$/.test(file));
  return wanted.map((file) => read(path.join(folder, file))).join("\n");
}

/** The rows of a section's tables by the code in their first cell. */
function rowsOf(section: string): ReadonlyMap<string, string> {
  return new Map([...section.matchAll(/^\| `([^`]+)`.*$/gm)].map(([row, name = ""]) => [name, row]));
}

describe("docs/storage.md", () => {
  it("is held against every folder that makes tables", () => {
    const folders = readdirSync(path.join(ROOT, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const making = folders.map(({ name }) => `src/${name}`).filter((folder) => tablesIn(textOf(folder)).length > 0);
    // A workspace's tables are the results of people.
    expect(making.filter((folder) => SECTIONS[folder] === undefined && folder !== "src/workspace")).toEqual([]);
  });

  it.each([...FOLDERS])("%s: names every table of %j with its columns, and no other", (heading, folders) => {
    const tables = folders.flatMap((folder) => tablesIn(textOf(folder)));
    const rows = rowsOf(sectionOf(heading));
    expect([...rows.keys()].toSorted()).toEqual(tables.map(({ name }) => name).toSorted());
    expect(tables.length).toBeGreaterThan(0);
    for (const { name, columns } of tables) {
      expect(columns.length, name).toBeGreaterThan(0);
      for (const column of columns) expect(rows.get(name), `${name}.${column}`).toContain(`\`${column}\``);
    }
  });

  it("names every object class and every binding of ours", () => {
    const config = read("wrangler.jsonc");
    const classes = [...config.matchAll(/"class_name": "(\w+)"/g)].map((match) => match[1] ?? "");
    expect(classes.length).toBeGreaterThan(3);
    for (const name of classes) expect(sectionOf(`Durable Object \`${name}\``), name).not.toBe("");
    // The bindings of a source are its operator's: ours are those that the sample has too.
    const bindingsOf = (text: string) =>
      [...text.matchAll(/"(?:binding|name)": "([A-Z_]+)"/g)].map((match) => match[1] ?? "");
    const ours = bindingsOf(config).filter((name) => bindingsOf(read("sample/wrangler.jsonc")).includes(name));
    expect(ours.length).toBeGreaterThan(4);
    for (const name of ours) expect(storage).toContain(`\`${name}\``);
  });
});
