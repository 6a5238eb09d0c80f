// A Durable Object that counts the side effects of the fixtures and stores the grants that a test has set for each subject.
import { DurableObject } from "cloudflare:workers";

/** The count of one side effect. */
export interface Count {
  /** How often the effect was requested. */
  readonly tries: number;
  /** The number of distinct keys: an effect counts once per key. */
  readonly effects: number;
}

/** Counts side effects in storage, so that the counts survive a killed server. */
export class CounterObject extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(`
      CREATE TABLE IF NOT EXISTS effect (
        name TEXT NOT NULL, key TEXT NOT NULL, tries INTEGER NOT NULL, PRIMARY KEY (name, key)
      )
    `);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS grants (subject TEXT PRIMARY KEY, digest TEXT NOT NULL)");
  }

  /** Counts an effect under a key. */
  async add(name: string, key: string): Promise<void> {
    this.ctx.storage.sql.exec(
      "INSERT INTO effect (name, key, tries) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET tries = tries + 1",
      name,
      key,
    );
  }

  /** Sets the digest of a subject's grants. */
  async setGrants(subject: string, digest: string): Promise<void> {
    this.ctx.storage.sql.exec("INSERT OR REPLACE INTO grants (subject, digest) VALUES (?, ?)", subject, digest);
  }

  /** Returns the digest of a subject's grants; `first` until a test sets it. */
  async grantsOf(subject: string): Promise<string> {
    const rows = this.ctx.storage.sql.exec<{ digest: string }>("SELECT digest FROM grants WHERE subject = ?", subject);
    return rows.toArray()[0]?.digest ?? "first";
  }

  /** Returns all counts by name. */
  async counts(): Promise<Record<string, Count>> {
    const rows = this.ctx.storage.sql.exec<{ name: string; tries: number; effects: number }>(
      "SELECT name, sum(tries) AS tries, count(*) AS effects FROM effect GROUP BY name",
    );
    return Object.fromEntries(rows.toArray().map(({ name, tries, effects }) => [name, { tries, effects }]));
  }
}
