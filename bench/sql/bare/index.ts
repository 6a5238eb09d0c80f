// The minimal Worker: one lookup in a Durable Object, as for an access token, and the SQL unchanged, without anything else.
import { DurableObject } from "cloudflare:workers";

interface BareEnv {
  readonly LARGE_DB: D1Database;
  readonly LOOKUP: DurableObjectNamespace<LookupObject>;
}

interface BareCall {
  readonly id: number;
  readonly params: { readonly arguments: { readonly sql: string } };
}

export class LookupObject extends DurableObject {
  async find(key: string): Promise<string | null> {
    return this.ctx.storage.kv.get<string>(key) ?? null;
  }
}

export default {
  async fetch(request: Request, { LARGE_DB, LOOKUP }: BareEnv): Promise<Response> {
    await LOOKUP.get(LOOKUP.idFromName("nobody")).find("token:nobody");
    const { id, params } = await request.json<BareCall>();
    const { results } = await LARGE_DB.prepare(params.arguments.sql).all();
    const content = [{ type: "text", text: JSON.stringify(results) }];
    return Response.json({ jsonrpc: "2.0", id, result: { content } });
  },
};
