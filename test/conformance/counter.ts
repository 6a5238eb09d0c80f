// Counts side effects in storage: how often each was tried, and under how many keys. Keeps the grants of each subject, too.
import { DurableObject } from "cloudflare:workers";

export interface Count {
  /** How often the effect was asked for. */
  readonly tries: number;
  /** How often it was carried out: once per key. */
  readonly effects: number;
}

export class CounterObject extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS effect (name TEXT NOT NULL, key TEXT NOT NULL, tries INTEGER NOT NULL, PRIMARY KEY (name, key))",
    );
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS grants (subject TEXT PRIMARY KEY, digest TEXT NOT NULL)");
  }

  async add(name: string, key: string): Promise<void> {
    this.ctx.storage.sql.exec(
      "INSERT INTO effect (name, key, tries) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET tries = tries + 1",
      name,
      key,
    );
  }

  /** From now on a subject has other grants. */
  async setGrants(subject: string, digest: string): Promise<void> {
    this.ctx.storage.sql.exec("INSERT OR REPLACE INTO grants (subject, digest) VALUES (?, ?)", subject, digest);
  }

  async grantsOf(subject: string): Promise<string> {
    const rows = this.ctx.storage.sql.exec<{ digest: string }>("SELECT digest FROM grants WHERE subject = ?", subject);
    return rows.toArray()[0]?.digest ?? "first";
  }

  async counts(): Promise<Record<string, Count>> {
    const rows = this.ctx.storage.sql.exec<{ name: string; tries: number; effects: number }>(
      "SELECT name, sum(tries) AS tries, count(*) AS effects FROM effect GROUP BY name",
    );
    return Object.fromEntries(rows.toArray().map(({ name, tries, effects }) => [name, { tries, effects }]));
  }
}
