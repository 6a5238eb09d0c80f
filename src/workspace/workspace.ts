// What a person's workspace keeps, and what it can be asked: results of their queries as tables, each with where it came
// from. It decides nothing; who may still use a result is for the gateway to say.
import type { StorageType } from "../sql/exact.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { SchemaObject } from "../sql/schema.ts";

export interface ResultColumn {
  readonly name: string;
  /** The types of its values, in the order met; empty when it has none but nulls. */
  readonly types: readonly StorageType[];
}

/** A result to keep. */
export interface NewResult {
  /** The call that made it: kept twice, it is kept once. */
  readonly call: string;
  readonly columns: readonly ResultColumn[];
  /** Each a JSON array as of `encodeRow`. */
  readonly rows: readonly string[];
  /** The index of the first row of each page. */
  readonly pages: readonly number[];
  /** Where it came from, in the gateway's own form. */
  readonly origin: string;
}

export interface KeptResult {
  /** `r1`, `r2`, …: also its table's name. Never used again. */
  readonly id: string;
  readonly columns: readonly ResultColumn[];
  readonly rows: number;
  readonly pages: readonly number[];
  readonly origin: string;
  readonly keptAtMs: number;
  readonly expiresAtMs: number;
}

export interface WorkspaceStatement {
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
}

export type WorkspaceRecord = Readonly<Record<string, SqlStorageValue>>;

export interface Workspace {
  /** What is there now, oldest first; makes the tables of the results used, and tells how the database describes them. */
  open(
    used: readonly string[],
  ): Promise<{ readonly results: readonly KeptResult[]; readonly objects: readonly SchemaObject[] }>;
  /** Makes room, the oldest first, and keeps it. Its id. */
  keep(result: NewResult): Promise<string>;
  /** Runs statements one after the other with nothing in between. Throws with SQLite's message. */
  run(statements: readonly WorkspaceStatement[]): Promise<readonly (readonly WorkspaceRecord[])[]>;
  drop(ids: readonly string[]): Promise<void>;
}
