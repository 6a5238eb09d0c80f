// From the Worker to the objects: requests to the token endpoint go where their grant is, and refused access tokens are told
// to whose they are.
import { readText } from "../../lib/body.ts";
import { refuseOAuth } from "../oauth-refusal.ts";
import { sha256Hex } from "../../lib/crypto.ts";
import { dropRepeatedClientId } from "./client-identification.ts";
import { readPresented } from "./presented.ts";
import { userShard } from "./protocol.ts";
import type { GrantNamespace } from "./protocol.ts";
import { toResponse, unavailable } from "./replies.ts";

export interface TokenRoute {
  readonly grants: GrantNamespace;
  /** The provider's endpoint, for requests that present nothing that could be somebody's. */
  readonly serveHere: (request: Request) => Promise<Response>;
  readonly onError: (message: string, error: unknown) => void;
}

/** Bytes of a request to the token endpoint. */
const MAX_FORM_BYTES = 64 * 1024;
const FORM = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;

/** Serves the token endpoint. What fails on the way is `temporarily_unavailable`: no client gives up a token for it. */
export async function routeToken(request: Request, { grants, serveHere, onError }: TokenRoute): Promise<Response> {
  const isForm = request.method === "POST" && FORM.test(request.headers.get("Content-Type") ?? "");
  if (!isForm) return serveHere(request);
  const form = await readText(request, MAX_FORM_BYTES);
  if (form === undefined) {
    const description = `A request to the token endpoint has at most ${MAX_FORM_BYTES} bytes`;
    return refuseOAuth(request, { status: 413, error: "invalid_request", description });
  }
  const body = dropRepeatedClientId(form, request.headers.get("Authorization"));
  const { "content-length": _length, ...headers } = Object.fromEntries(request.headers);
  const presented = readPresented(new URLSearchParams(body));
  try {
    if (presented === undefined) return await serveHere(new Request(request.url, { method: "POST", headers, body }));
    const shard = grants.get(grants.idFromName(userShard(presented.userId)));
    return toResponse(await shard.token({ url: request.url, headers, body }));
  } catch (error) {
    onError("the token endpoint failed", error);
    return toResponse(unavailable());
  }
}

/**
 * Tells the object of a refused access token's user, which knows whether it was ever given out. The refusal stands either way; what
 * fails here is in the log.
 */
export async function tellRefused(
  request: Request,
  { grants, onError }: Pick<TokenRoute, "grants" | "onError">,
): Promise<void> {
  const token = /^Bearer[\t ]+([^\s,]+)$/i.exec(request.headers.get("Authorization") ?? "")?.[1] ?? "";
  const [userId, grantId, secret, ...rest] = token.split(":");
  if (!userId || !grantId || !secret || rest.length > 0) return;
  try {
    await grants.get(grants.idFromName(userShard(userId))).refused(grantId, await sha256Hex(token));
  } catch (error) {
    onError("a refused token could not be recorded", error);
  }
}
