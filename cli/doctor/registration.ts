// Takes the first steps of a new client: it registers (RFC 7591) as Python clients do, opens the consent page, and is refused an
// access token for an invalid code. No user signs in.
import { createHash, randomBytes } from "node:crypto";
import { fine, problem, quote, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { objectOf, texts } from "./http.ts";
import type { Answer, Send } from "./http.ts";
import type { AuthorizationServer } from "./metadata.ts";
import type { Target } from "./target.ts";

const CLIENT_NAME = "npm run doctor (throw-away)";
const REDIRECT_URI = "http://127.0.0.1:33418/callback";
/** A token request with an invalid code. */
const GRANT = { grant_type: "authorization_code", code: "none", redirect_uri: REDIRECT_URI };
const WAIT = "Wait a minute, then run this again. If it happens again, raise the limit: docs/limits.md, Rate limits.";

/** Registers one client, and checks the consent page and the token endpoint with it. */
export async function examineFirstSteps(
  target: Target,
  server: AuthorizationServer,
  send: Send,
): Promise<readonly Finding[]> {
  if (server.registrationEndpoint === undefined)
    return [
      warning(
        "registration",
        "clients cannot register themselves",
        "Cursor, Gemini CLI and other clients need registration. Deploy this repository unchanged.",
      ),
    ];
  const answer = await send(server.registrationEndpoint, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({
      client_name: CLIENT_NAME,
      redirect_uris: [REDIRECT_URI],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    }),
  });
  const clientId = objectOf(answer)?.["client_id"];
  if (
    answer.status !== 201 ||
    typeof clientId !== "string" ||
    !texts(objectOf(answer)?.["redirect_uris"]).includes(REDIRECT_URI)
  )
    return [
      problem(
        "registration",
        refusalText(answer),
        answer.status === 429
          ? WAIT
          : "Clients that register themselves cannot connect. The Worker's log (npx wrangler tail) says why.",
      ),
    ];
  return [
    fine("registration", `registered ${quote(CLIENT_NAME)}, which stays unused and is deleted after 7 days`),
    await examineConsent(target, server, clientId, send),
    ...(await examineTokenEndpoint(server, { clientId, authorization: basicOf(clientId, objectOf(answer)) }, send)),
  ];
}

async function examineConsent(
  { resource }: Target,
  { authorizationEndpoint }: AuthorizationServer,
  clientId: string,
  send: Send,
): Promise<Finding> {
  const url = new URL(authorizationEndpoint);
  const parameters = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: REDIRECT_URI,
    state: randomBytes(8).toString("hex"),
    resource,
    code_challenge: createHash("sha256").update(randomBytes(32)).digest("base64url"),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const answer = await send(url.href, { headers: { accept: "text/html" } });
  const { status, headers, text } = answer;
  if (status === 429) return problem("consent", refusalText(answer), WAIT);
  if (status === 403)
    return problem(
      "consent",
      "no sign-in method is configured (403)",
      "Set GATEHOUSE_SIGN_IN in wrangler.jsonc to an identity provider (docs/identity-providers.md), and deploy.",
    );
  if (status !== 200 || !/<form[^>]*method="post"/i.test(text))
    return problem(
      "consent",
      `the sign-in page answers ${status}${status === 200 ? " without its form" : ""}`,
      "Users cannot sign in. The Worker's log (npx wrangler tail) says why.",
    );
  if (!/frame-ancestors 'none'/.test(headers.get("content-security-policy") ?? ""))
    return problem(
      "consent",
      "the consent page can be framed by other sites",
      "A transform rule or a proxy in front removes the Content-Security-Policy header that Gatehouse sends.",
    );
  return fine("consent", "the page opens and cannot be framed");
}

interface RegisteredClient {
  readonly clientId: string;
  /** The Basic authorization header; undefined when the client got no secret. */
  readonly authorization: string | undefined;
}

/** Builds the Basic authorization header (RFC 6749 §2.3.1); undefined without a client secret. */
function basicOf(clientId: string, registered: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const secret = registered?.["client_secret"];
  if (typeof secret !== "string") return undefined;
  return `Basic ${btoa(`${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`)}`;
}

async function examineTokenEndpoint(
  { tokenEndpoint }: AuthorizationServer,
  { clientId, authorization }: RegisteredClient,
  send: Send,
): Promise<readonly Finding[]> {
  const ask = async (fields: Record<string, string>): Promise<Answer> =>
    send(tokenEndpoint, {
      method: "POST",
      headers: { accept: "application/json", ...(authorization === undefined ? {} : { authorization }) },
      body: new URLSearchParams({ ...fields, ...GRANT, code_verifier: randomBytes(32).toString("hex") }),
    });
  const first = await ask(authorization === undefined ? { client_id: clientId } : {});
  if (!isInvalidGrant(first)) {
    const mend =
      "Clients cannot finish a sign-in. Look for rules in front that change POST requests, their Authorization header or the answers.";
    return [problem("token endpoint", refusalText(first), first.status === 429 ? WAIT : mend)];
  }
  const finding = fine("token endpoint", "refuses an invalid code with an error that clients can read");
  if (authorization === undefined) return [finding];
  // RFC 6749 §3.2.1: a client that authenticates by Basic may also send client_id.
  return [finding, judgePythonClient(await ask({ client_id: clientId }))];
}

function judgePythonClient(answer: Answer): Finding {
  const check = "token endpoint (Python clients)";
  if (isInvalidGrant(answer)) return fine(check, "takes Basic and client_id in one request");
  const says = `${refusalText(answer)} to a client that sends Basic and client_id`;
  const mend = "The official Python SDK and FastMCP cannot sign in. Deploy a current version of this repository.";
  return problem(check, says, answer.status === 429 ? WAIT : mend);
}

function isInvalidGrant(answer: Answer): boolean {
  return answer.status === 400 && objectOf(answer)?.["error"] === "invalid_grant";
}

function refusalText(answer: Answer): string {
  const error = objectOf(answer)?.["error"];
  return `it answers ${answer.status}${error === undefined ? ", with no error that clients can read" : ` (${quote(error)})`}`;
}
