// Checks what clients read before sign-in: the protected resource's metadata (RFC 9728) and the authorization server's (RFC 8414).
import { metadataUrlOf } from "./challenge.ts";
import { fine, problem, quote } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { objectOf, texts } from "./http.ts";
import type { Send } from "./http.ts";
import type { Target } from "./target.ts";

const SET_URL = "Set GATEHOUSE_URL to the origin that clients use, and deploy.";

/** The endpoints that the authorization server's metadata names. */
export interface AuthorizationServer {
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  /** Undefined when clients cannot register themselves. */
  readonly registrationEndpoint: string | undefined;
}

/** Checks the resource's metadata, and returns the issuer that it names. */
export async function examineResource(
  target: Target,
  send: Send,
): Promise<{ findings: readonly Finding[]; issuer: string | undefined }> {
  const check = "resource metadata";
  const url = metadataUrlOf(target);
  const answer = await send(url, { headers: { accept: "application/json" } });
  const metadata = objectOf(answer);
  if (answer.status !== 200 || metadata === undefined) {
    const says = `${url} answers ${answer.status}${answer.status === 200 ? ", but no JSON" : ""}`;
    return {
      findings: [
        problem(
          check,
          says,
          "Clients cannot find the sign-in. Deploy this repository again, and look for rules in front that answer /.well-known/.",
        ),
      ],
      issuer: undefined,
    };
  }
  const { resource, authorization_servers: servers, bearer_methods_supported: methods } = metadata;
  const [issuer] = texts(servers);
  const findings = [
    resource === target.resource
      ? fine("resource", `is exactly ${target.resource}`)
      : problem(
          "resource",
          `the metadata says ${quote(resource)}, but clients connect to ${target.resource}`,
          `Clients refuse to sign in when the two differ, even by a slash or a capital letter. ${SET_URL}`,
        ),
    issuer === undefined || !texts(methods).includes("header")
      ? problem(check, "it names no authorization server, or not the method header", "Deploy this repository again.")
      : fine(check, `names ${quote(issuer)}`),
  ];
  return { findings, issuer };
}

/** Checks the authorization server's metadata. `server` is absent when clients could not use it. */
export async function examineAuthorizationServer(
  target: Target,
  issuer: string,
  send: Send,
): Promise<{ findings: readonly Finding[]; server?: AuthorizationServer }> {
  const check = "authorization server";
  if (!URL.canParse(issuer) || new URL(issuer).origin !== target.origin)
    return {
      findings: [
        problem(
          check,
          `it is at ${quote(issuer)}, not at ${target.origin}`,
          `Gatehouse is its own authorization server. ${SET_URL}`,
        ),
      ],
    };
  const url = `${target.origin}/.well-known/oauth-authorization-server`;
  const answer = await send(url, { headers: { accept: "application/json" } });
  const metadata = objectOf(answer);
  if (answer.status !== 200 || metadata === undefined)
    return {
      findings: [
        problem(
          check,
          `${url} answers ${answer.status}${answer.status === 200 ? ", but no JSON" : ""}`,
          "Clients cannot sign in. Deploy this repository again, and look for rules in front that answer /.well-known/.",
        ),
      ],
    };
  const wrong = listMistakes(metadata, issuer, target.origin);
  if (wrong.length > 0)
    return {
      findings: [problem(check, wrong.join("; "), `${SET_URL} If that is right, deploy this repository again.`)],
    };
  const registration = metadata["registration_endpoint"];
  const server = {
    issuer,
    authorizationEndpoint: String(metadata["authorization_endpoint"]),
    tokenEndpoint: String(metadata["token_endpoint"]),
    registrationEndpoint: typeof registration === "string" ? registration : undefined,
  };
  return { findings: [fine(check, "issuer, endpoints, PKCE and refresh are as clients need them")], server };
}

function listMistakes(metadata: Readonly<Record<string, unknown>>, issuer: string, origin: string): readonly string[] {
  const endpoint = (name: string): readonly string[] => {
    const value = metadata[name];
    const isHere = typeof value === "string" && URL.canParse(value) && new URL(value).origin === origin;
    return isHere ? [] : [`${name} is ${quote(value)}`];
  };
  const has = (name: string, needed: string): readonly string[] =>
    texts(metadata[name]).includes(needed) ? [] : [`${name} lacks ${needed}`];
  return [
    // RFC 8414 §3.3: issuers are compared without normalisation.
    ...(metadata["issuer"] === issuer ? [] : [`issuer is ${quote(metadata["issuer"])}, not ${quote(issuer)}`]),
    ...endpoint("authorization_endpoint"),
    ...endpoint("token_endpoint"),
    ...(metadata["registration_endpoint"] === undefined ? [] : endpoint("registration_endpoint")),
    ...has("response_types_supported", "code"),
    ...has("grant_types_supported", "authorization_code"),
    ...has("grant_types_supported", "refresh_token"),
    ...has("code_challenge_methods_supported", "S256"),
    ...has("token_endpoint_auth_methods_supported", "none"),
  ];
}
