// Routes token requests from the Worker to the Durable Object that stores their grant, and reports refused access tokens to
// the object of their user.
import { readBodyText } from "../../lib/body.ts";
import { createOAuthErrorResponse } from "./oauth-error-response.ts";
import { sha256Hex } from "../../lib/crypto.ts";
import { dropRepeatedClientId } from "./client-identification.ts";
import { parsePresentedCredential } from "./token-request.ts";
import { nameUserShard } from "./grant-protocol.ts";
import type { GrantNamespace } from "./grant-protocol.ts";
import { toHttpResponse, createUnavailableReply } from "./oauth-errors.ts";

interface TokenRouteOptions {
  readonly grants: GrantNamespace;
  /** The provider's endpoint, for requests without a credential that could belong to a user. */
  readonly serveInWorker: (request: Request) => Promise<Response>;
  readonly onError: (message: string, error: unknown) => void;
}

const MAX_FORM_BYTES = 64 * 1024;
const FORM_CONTENT_TYPE = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;

/** Serves the token endpoint. Internal faults become `temporarily_unavailable`, for which clients keep their refresh token. */
export async function routeTokenRequest(
  request: Request,
  { grants, serveInWorker, onError }: TokenRouteOptions,
): Promise<Response> {
  const isForm = request.method === "POST" && FORM_CONTENT_TYPE.test(request.headers.get("Content-Type") ?? "");
  if (!isForm) return serveInWorker(request);
  const form = await readBodyText(request, MAX_FORM_BYTES);
  if (form === undefined) {
    const description = `A request to the token endpoint can have at most ${MAX_FORM_BYTES} bytes`;
    return createOAuthErrorResponse(request, { status: 413, error: "invalid_request", description });
  }
  const body = dropRepeatedClientId(form, request.headers.get("Authorization"));
  const { "content-length": _length, ...headers } = Object.fromEntries(request.headers);
  const credential = parsePresentedCredential(new URLSearchParams(body));
  try {
    if (credential === undefined)
      return await serveInWorker(new Request(request.url, { method: "POST", headers, body }));
    const shard = grants.get(grants.idFromName(nameUserShard(credential.userId)));
    return toHttpResponse(await shard.serveToken({ url: request.url, headers, body }));
  } catch (error) {
    onError("the token endpoint failed", error);
    return toHttpResponse(createUnavailableReply());
  }
}

/**
 * Reports a refused access token to the object of the user that it names, which knows whether the token was ever issued. A
 * failure goes to the log and does not change the refusal.
 */
export async function reportRefusedToken(
  request: Request,
  { grants, onError }: Pick<TokenRouteOptions, "grants" | "onError">,
): Promise<void> {
  const accessToken = /^Bearer[\t ]+([^\s,]+)$/i.exec(request.headers.get("Authorization") ?? "")?.[1] ?? "";
  const [userId, grantId, secret, ...rest] = accessToken.split(":");
  if (!userId || !grantId || !secret || rest.length > 0) return;
  try {
    await grants.get(grants.idFromName(nameUserShard(userId))).recordRefusal(grantId, await sha256Hex(accessToken));
  } catch (error) {
    onError("a refused access token could not be recorded", error);
  }
}
