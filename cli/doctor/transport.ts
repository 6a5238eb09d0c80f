// Checks whether the deployment is reachable without anything in between, over trusted TLS, and whether its clock is right.
import { connect } from "node:tls";
import { fine, problem, quote, skipped, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { Unreachable } from "./http.ts";
import type { Answer, Send } from "./http.ts";
import type { Target } from "./target.ts";

const MAX_SKEW_SECONDS = 60;
/** Cloudflare renews certificates a month before they end. */
const MIN_DAYS_LEFT = 14;

const TROUBLE: Readonly<Record<string, readonly [says: string, mend: string]>> = {
  ENOTFOUND: [
    "the host name is not in DNS",
    "Correct the URL, or add the custom domain to the Worker (routes in wrangler.jsonc) and deploy.",
  ],
  EAI_AGAIN: ["DNS does not answer", "Check this machine's network, then try again."],
  ECONNREFUSED: ["the connection is refused", "Start the server (npm start), or correct the host and port."],
  TIMEOUT: ["there was no answer within 20 seconds", "Look at the Worker's log: npx wrangler tail"],
  CERT_HAS_EXPIRED: [
    "the certificate has expired",
    "Renew the certificate: for a custom domain, see SSL/TLS → Edge Certificates at Cloudflare.",
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    "the certificate is for another host name",
    "Use the certificate's host name, or order a certificate for this one at SSL/TLS → Edge Certificates.",
  ],
  DEPTH_ZERO_SELF_SIGNED_CERT: [
    "the certificate is self-signed",
    "Clients refuse it. Serve with a certificate that browsers accept.",
  ],
  SELF_SIGNED_CERT_IN_CHAIN: [
    "the certificate is signed by an unknown authority",
    "Clients refuse it. Serve with a certificate that browsers accept, or look for a proxy that intercepts TLS.",
  ],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [
    "the certificate's chain is incomplete",
    "Serve the intermediate certificates too.",
  ],
};

/** Sends one request. `answer` is absent when an obstacle makes all further checks pointless. */
export async function examineReach(
  target: Target,
  send: Send,
): Promise<{ findings: readonly Finding[]; answer?: Answer }> {
  const check = "reach";
  if (!target.isSecure && !target.isLoopback)
    return {
      findings: [
        problem(
          check,
          "the URL begins with http://",
          "Use https://: clients send their access token to this URL, and most refuse http.",
        ),
      ],
    };
  try {
    const answer = await send(target.resource);
    const obstacle = findObstacle(target, answer);
    return obstacle === undefined
      ? { findings: [fine(check, `${target.resource} answers`)], answer }
      : { findings: [obstacle] };
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const [says, mend] = TROUBLE[error.code] ?? [
      `there was no answer (${error.code})`,
      "Check the URL and the network.",
    ];
    return { findings: [problem(/CERT|VERIFY|SSL|TLS/.test(error.code) ? "tls" : check, says, mend)] };
  }
}

/** Detects a redirect, a browser challenge or a server error that answers in the Worker's place. */
function findObstacle({ resource, hostname }: Target, { status, headers }: Answer): Finding | undefined {
  const location = headers.get("location");
  if (status >= 300 && status < 400) {
    const to = location !== null && URL.canParse(location, resource) ? new URL(location, resource) : undefined;
    if (to?.hostname.endsWith(".cloudflareaccess.com") === true)
      return problem(
        "redirect",
        "Cloudflare Access is in front of it",
        `Assistants cannot get past it. Add a Bypass policy for ${hostname} in Zero Trust → Access; Gatehouse does the sign-in itself.`,
      );
    const where = to === undefined ? "elsewhere" : quote(`${to.origin}${to.pathname}`);
    return problem(
      "redirect",
      `it redirects to ${where}`,
      [
        "Clients do not follow a redirect with their access token.",
        "Set GATEHOUSE_URL to the origin of the target and give people that URL, or remove the redirect rule.",
      ].join(" "),
    );
  }
  if (headers.get("cf-mitigated") === "challenge")
    return problem(
      "redirect",
      "Cloudflare answers with a browser challenge",
      `Assistants are not browsers. Add a WAF rule that skips challenges for ${hostname}.`,
    );
  if (status >= 500)
    return problem(
      "reach",
      `it answers ${status}`,
      "Look at the Worker's log (npx wrangler tail): it names a missing setting.",
    );
  return undefined;
}

/** Checks the certificate and how long it is valid. */
export async function examineTls(target: Target): Promise<Finding> {
  if (!target.isSecure) return skipped("tls", "not needed for http on this machine");
  const { hostname, port } = new URL(target.origin);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 443), servername: hostname }, () => {
      const { valid_to: validTo } = socket.getPeerCertificate();
      socket.destroy();
      resolve(judgeCertificate(new Date(validTo), new Date()));
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      const [says, mend] = TROUBLE[error.code ?? ""] ?? ["the connection fails", "Check the network."];
      resolve(problem("tls", says, mend));
    });
  });
}

function judgeCertificate(validTo: Date, now: Date): Finding {
  const days = Math.floor((validTo.getTime() - now.getTime()) / 86_400_000);
  const says = `the certificate is valid for ${days} more days`;
  if (days >= MIN_DAYS_LEFT) return fine("tls", says);
  return warning("tls", says, "It should have been renewed by now: see SSL/TLS → Edge Certificates at Cloudflare.");
}

/** Compares the server's clock, from its Date header, with this machine's. */
export function examineClock({ headers, sentMs, receivedMs }: Answer): Finding {
  const date = headers.get("date");
  if (date === null) return skipped("clock", "the server sends no Date header");
  // The header has whole seconds, and was written between sending and receiving.
  const serverMs = Date.parse(date) + 500;
  const skew = Math.round((serverMs - (sentMs + receivedMs) / 2) / 1000);
  if (Math.abs(skew) <= MAX_SKEW_SECONDS) return fine("clock", `within ${MAX_SKEW_SECONDS} seconds of this machine's`);
  return problem(
    "clock",
    `the server's clock is ${Math.abs(skew)} seconds ${skew > 0 ? "ahead of" : "behind"} this machine's`,
    [
      "Access tokens and sign-ins would expire early or late. Correct this machine's clock (timedatectl), then run this again.",
      "If the server's clock is still wrong, a cache in front of it answers with stored copies.",
    ].join(" "),
  );
}
