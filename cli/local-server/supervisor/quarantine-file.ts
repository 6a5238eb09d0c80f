// The file of refused statements in the local state. The supervisor adds statements, `npm run quarantine` lists and clears them, and
// each start of the server passes them to the Worker.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import type { RefusedStatement } from "../../../src/audit/refused-statements.ts";
import { PRIVATE_FILE } from "../../project/private-files.ts";

const quarantined = z.object({
  /** Identifies the entry in commands. */
  id: z.string(),
  /** The user's subject id; for a personal access token's call, the owner's. */
  subject: z.string(),
  /** The statement's digest. */
  statement: z.string(),
  operation: z.string(),
  source: z.string().nullable(),
  /** The id, in the user's audit record, of the call that ran when the server stopped. */
  call: z.string(),
  atMs: z.number(),
});

/** A refused statement of one user. */
export type Quarantined = Readonly<z.output<typeof quarantined>>;

/** Reads and changes the file. Other processes may change it at any time, so every method reads it again. */
export interface QuarantineFile {
  list(): readonly Quarantined[];
  /** Adds a statement unless it is already refused to that user. */
  add(entry: Omit<Quarantined, "id">): void;
  /** Clears the entry with this id, or all. Returns the number of cleared entries. */
  clear(id?: string): number;
  /** The entries in the form that the Worker needs. */
  refused(): readonly RefusedStatement[];
}

/** Opens the file in a folder of local state; it need not exist. */
export function openQuarantine(stateDir: string): QuarantineFile {
  const file = path.join(stateDir, "refused-statements.json");
  const list = (): readonly Quarantined[] => (existsSync(file) ? parse(readFileSync(file, "utf8")) : []);
  const write = (entries: readonly Quarantined[]): void => {
    writeFileSync(`${file}.new`, JSON.stringify(entries, null, 2), { mode: PRIVATE_FILE });
    renameSync(`${file}.new`, file);
  };
  return {
    list,
    add(entry) {
      const entries = list();
      if (entries.some(({ subject, statement }) => subject === entry.subject && statement === entry.statement)) return;
      write([...entries, { id: randomBytes(4).toString("hex"), ...entry }]);
    },
    clear(id) {
      const entries = list();
      const left = id === undefined ? [] : entries.filter((entry) => entry.id !== id);
      if (left.length < entries.length) write(left);
      return entries.length - left.length;
    },
    refused: () => list().map(({ subject, statement }) => ({ subject, statement })),
  };
}

/** Parses the file and drops unreadable entries: the worst consequence is one more restart. */
function parse(text: string): readonly Quarantined[] {
  try {
    const entries = z.array(z.unknown()).safeParse(JSON.parse(text));
    return (entries.data ?? []).flatMap((entry) => quarantined.safeParse(entry).data ?? []);
  } catch {
    return [];
  }
}
