// Tables that a Durable Object creates with its first write. Anyone can ask for the access token of a made-up user or for a session
// that does not exist, and such a request must store nothing.
import { createLayout, upgradeLayout } from "./storage-layout.ts";
import type { StorageLayout } from "./storage-layout.ts";

/** The tables of one object, which may not exist yet. */
export interface LazyTables {
  /** Returns the database for reading; undefined while the tables do not exist. */
  getIfCreated(): SqlStorage | undefined;
  /** Creates the tables unless they exist, and returns the database for writing. */
  ensureCreated(): SqlStorage;
  /** Looks again whether the tables exist, after a transaction that may have created them was rolled back. */
  refresh(): void;
  /** Forgets that the tables exist, after the caller deleted the storage. */
  reset(): void;
}

/** Creates the lazy tables of an object, and upgrades an earlier layout immediately. Throws `UnknownLayoutError`. */
export function createLazyTables(storage: DurableObjectStorage, layout: StorageLayout): LazyTables {
  const { sql } = storage;
  let isCreated = upgradeLayout(storage, layout);
  return {
    getIfCreated: () => (isCreated ? sql : undefined),
    ensureCreated() {
      if (!isCreated) createLayout(storage, layout);
      isCreated = true;
      return sql;
    },
    refresh: () => void (isCreated = upgradeLayout(storage, layout)),
    reset: () => void (isCreated = false),
  };
}
