// Counts side effects in storage: how often each was tried, and under how many keys.
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
  }

  async add(name: string, key: string): Promise<void> {
    this.ctx.storage.sql.exec(
      "INSERT INTO effect (name, key, tries) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET tries = tries + 1",
      name,
      key,
    );
  }

  async counts(): Promise<Record<string, Count>> {
    const rows = this.ctx.storage.sql.exec<{ name: string; tries: number; effects: number }>(
      "SELECT name, sum(tries) AS tries, count(*) AS effects FROM effect GROUP BY name",
    );
    return Object.fromEntries(rows.toArray().map(({ name, tries, effects }) => [name, { tries, effects }]));
  }
}
