// Whether the deployment can be reached at all, directly, over a connection that can be trusted, at a time that is right.
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
    "the name is not in the DNS",
    "Correct the URL, or add the custom domain to the Worker (routes in wrangler.jsonc) and deploy.",
  ],
  EAI_AGAIN: ["the DNS does not answer", "Check this machine's network, then try again."],
  ECONNREFUSED: ["nothing listens there", "Start it (npm start), or correct host and port."],
  TIMEOUT: ["no answer within 20 seconds", "Look at the Worker's log: npx wrangler tail"],
  CERT_HAS_EXPIRED: [
    "the certificate has expired",
    "Renew it: for a custom domain see SSL/TLS → Edge Certificates at Cloudflare.",
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    "the certificate is for another name",
    "Use the name of the certificate, or order one for this name at SSL/TLS → Edge Certificates.",
  ],
  DEPTH_ZERO_SELF_SIGNED_CERT: [
    "the certificate is self-signed",
    "Clients refuse it. Serve with a certificate that browsers accept.",
  ],
  SELF_SIGNED_CERT_IN_CHAIN: [
    "the certificate is signed by nobody this machine knows",
    "Clients refuse it. Serve with a certificate that browsers accept, or look for a proxy that opens TLS on the way.",
  ],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [
    "the certificate's chain is incomplete",
    "Serve the intermediate certificates too.",
  ],
};

/** Asks once. The answer is undefined when nothing else can be examined. */
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
          "Use https://: clients send their token to this URL, and most refuse http.",
        ),
      ],
    };
  try {
    const answer = await send(target.resource);
    const stop = obstacleOf(target, answer);
    return stop === undefined
      ? { findings: [fine(check, `${target.resource} answers`)], answer }
      : { findings: [stop] };
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const [says, mend] = TROUBLE[error.code] ?? [`no answer (${error.code})`, "Check the URL and the network between."];
    return { findings: [problem(/CERT|VERIFY|SSL|TLS/.test(error.code) ? "tls" : check, says, mend)] };
  }
}

/** Something in front of the Worker that answers in its place. */
function obstacleOf({ resource, hostname }: Target, { status, headers }: Answer): Finding | undefined {
  const location = headers.get("location");
  if (status >= 300 && status < 400) {
    const to = location !== null && URL.canParse(location, resource) ? new URL(location, resource) : undefined;
    if (to?.hostname.endsWith(".cloudflareaccess.com") === true)
      return problem(
        "redirect",
        "Cloudflare Access stands in front of it",
        `Assistants cannot pass it. Add a Bypass policy for ${hostname} in Zero Trust → Access, and let Gatehouse do the sign-in.`,
      );
    const where = to === undefined ? "elsewhere" : quote(`${to.origin}${to.pathname}`);
    return problem(
      "redirect",
      `it redirects to ${where}`,
      "Clients do not follow with their token. Give people the URL it redirects to and set GATEHOUSE_URL to its origin, or take the redirect rule away.",
    );
  }
  if (headers.get("cf-mitigated") === "challenge")
    return problem(
      "redirect",
      "Cloudflare asks for a browser (a challenge)",
      `Assistants are no browsers. Add a WAF rule that skips challenges for ${hostname}.`,
    );
  if (status >= 500)
    return problem(
      "reach",
      `it answers ${status}`,
      "Look at the Worker's log (npx wrangler tail): a missing setting is named there.",
    );
  return undefined;
}

/** How long the certificate is good for. */
export async function examineTls(target: Target): Promise<Finding> {
  if (!target.isSecure) return skipped("tls", "not asked of http on one's own machine");
  const { hostname, port } = new URL(target.origin);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 443), servername: hostname }, () => {
      const { valid_to: validTo } = socket.getPeerCertificate();
      socket.destroy();
      resolve(judgeCertificate(new Date(validTo), new Date()));
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      const [says, mend] = TROUBLE[error.code ?? ""] ?? ["the connection fails", "Check the network between."];
      resolve(problem("tls", says, mend));
    });
  });
}

function judgeCertificate(validTo: Date, now: Date): Finding {
  const days = Math.floor((validTo.getTime() - now.getTime()) / 86_400_000);
  const says = `the certificate is good for ${days} more days`;
  if (days >= MIN_DAYS_LEFT) return fine("tls", says);
  return warning("tls", says, "It should have been renewed by now: see SSL/TLS → Edge Certificates at Cloudflare.");
}

/** Holds the server's clock against this machine's. */
export function examineClock({ headers, sentMs, receivedMs }: Answer): Finding {
  const date = headers.get("date");
  if (date === null) return skipped("clock", "the server does not say its time");
  // The header has whole seconds, and was written at some time in between.
  const serverMs = Date.parse(date) + 500;
  const skew = Math.round((serverMs - (sentMs + receivedMs) / 2) / 1000);
  if (Math.abs(skew) <= MAX_SKEW_SECONDS) return fine("clock", `within ${MAX_SKEW_SECONDS} seconds of this machine's`);
  return problem(
    "clock",
    `the server's clock is ${Math.abs(skew)} seconds ${skew > 0 ? "ahead of" : "behind"} this machine's`,
    "Tokens and sign-ins would expire early or late. Set the clock of this machine right (timedatectl), then look again; if the server's is wrong, whatever stands in front of it answers with a kept copy.",
  );
}
