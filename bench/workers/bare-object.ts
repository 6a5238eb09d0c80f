// A Worker whose Durable Object returns the JSON body unchanged: the least that a session can cost.
import { DurableObject } from "cloudflare:workers";

export class SessionObject extends DurableObject {
  async echo(body: string): Promise<string> {
    return JSON.stringify(JSON.parse(body));
  }
}

export default {
  async fetch(request: Request, env: { SESSION: DurableObjectNamespace<SessionObject> }): Promise<Response> {
    const object = env.SESSION.get(env.SESSION.idFromName("one"));
    return new Response(await object.echo(await request.text()), { headers: { "Content-Type": "application/json" } });
  },
};
