// How low a Worker can go: one look-up in KV, as a token check is, and the SQL as it came, without anything else.

interface BareEnv {
  readonly LARGE_DB: D1Database;
  readonly OAUTH_KV: KVNamespace;
}

interface BareCall {
  readonly id: number;
  readonly params: { readonly arguments: { readonly sql: string } };
}

export default {
  async fetch(request: Request, { LARGE_DB, OAUTH_KV }: BareEnv): Promise<Response> {
    await OAUTH_KV.get("token:nobody");
    const { id, params } = await request.json<BareCall>();
    const { results } = await LARGE_DB.prepare(params.arguments.sql).all();
    const content = [{ type: "text", text: JSON.stringify(results) }];
    return Response.json({ jsonrpc: "2.0", id, result: { content } });
  },
};
