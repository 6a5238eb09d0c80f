// The file of refused statements in the folder of local state: the supervisor adds to it, `npm run quarantine` lists and clears it,
// and each start of the server hands its content to the Worker.
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import type { RefusedStatement } from "../../src/access/refused-statements.ts";
import { PRIVATE_FILE } from "../private-files.ts";

const quarantined = z.object({
  /** Names it in commands. */
  id: z.string(),
  /** The subject id of the user: of an access token's call, its owner's. */
  subject: z.string(),
  /** The digest. */
  statement: z.string(),
  operation: z.string(),
  source: z.string().nullable(),
  /** The call that ran when the server stopped, as the user's record names it. */
  call: z.string(),
  atMs: z.number(),
});

export type Quarantined = Readonly<z.output<typeof quarantined>>;

export interface QuarantineFile {
  list(): readonly Quarantined[];
  /** Adds a statement, unless it is refused to that user already. */
  add(entry: Omit<Quarantined, "id">): void;
  /** Clears one by its id, or all. Returns how many there were. */
  clear(id?: string): number;
  /** What the Worker refuses, of each entry. */
  refused(): readonly RefusedStatement[];
}

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

/** What cannot be read is forgotten: the worst that comes of it is one more restart. */
function parse(text: string): readonly Quarantined[] {
  try {
    const entries = z.array(z.unknown()).safeParse(JSON.parse(text));
    return (entries.data ?? []).flatMap((entry) => quarantined.safeParse(entry).data ?? []);
  } catch {
    return [];
  }
}
