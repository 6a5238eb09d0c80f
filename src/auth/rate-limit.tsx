// How often one network may ask before anybody is known, and one subject once it is. Counted by the platform's limiter, which
// holds the numbers (`ratelimits` in wrangler.jsonc): per Cloudflare location, and a moment late. What must be exact, such
// as the day's rows, is in the ledger.
import { htmlPage } from "../ui/layout.tsx";
import { UNKNOWN_NETWORK, networkOf } from "./address.ts";
import { refuseOAuth } from "./oauth-refusal.ts";
import { REGISTRATION_PATH, TOKEN_PATH } from "./provider.ts";

/** The platform's limiter, as the bindings give it. */
export interface Limiter {
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

export interface RateLimitOptions {
  /** `https://gatehouse.example.com`: deployments of one account may share counters, so it is part of every key. */
  readonly origin: string;
  /** Whether this deployment serves one's own machine, where no edge says who asks. */
  readonly isLocal: boolean;
  readonly limiters: {
    readonly pages: Limiter;
    readonly registration: Limiter;
    readonly token: Limiter;
    readonly mcp: Limiter;
  };
  /** A limiter that does not answer. */
  readonly onError: (error: unknown) => void;
}

export interface RateLimits {
  /** Refuses a request outside of /mcp by its network: 429 in the form that the endpoint's clients read. */
  refuseNetwork(request: Request): Promise<Response | undefined>;
  /** Counts messages to /mcp; whether they are too many of this person and their access tokens. */
  isTooMuch(ownerId: string, count?: number): Promise<boolean>;
}

/** The longer of the two periods that the platform offers: after it there is room in any case. It does not say when before. */
export const RETRY_AFTER_SECONDS = 60;

/** What is answered from memory, and read by every client and monitor. */
const METADATA = /^\/\.well-known\//;

export function createRateLimits({ origin, isLocal, limiters, onError }: RateLimitOptions): RateLimits {
  const isOver = async (limiter: Limiter, who: string): Promise<boolean> => {
    try {
      return !(await limiter.limit({ key: `${origin} ${who}` })).success;
    } catch (error) {
      // A limiter that fails must not lock everybody out: it bounds load, it does not decide who may see what.
      onError(error);
      return false;
    }
  };
  return {
    async refuseNetwork(request) {
      const { pathname } = new URL(request.url);
      // The start page of somebody who is signed in asks the sources; of anybody else it does not.
      const isPlainStart = pathname === "/" && !request.headers.has("Cookie");
      // A preflight costs nothing, and a browser cannot tell its page why one failed.
      if (request.method === "OPTIONS" || METADATA.test(pathname) || isPlainStart) return undefined;
      // Without an edge everybody is on this machine. Anywhere else that is a fault, and all such requests count as one network.
      const network = networkOf(request.headers) ?? (isLocal ? undefined : UNKNOWN_NETWORK);
      if (network === undefined) return undefined;
      switch (pathname) {
        case TOKEN_PATH:
          return (await isOver(limiters.token, network)) ? oauthRefusal(request) : undefined;
        case REGISTRATION_PATH:
          return (await isOver(limiters.registration, network)) ? oauthRefusal(request) : undefined;
        default:
          return (await isOver(limiters.pages, network)) ? pageRefusal() : undefined;
      }
    },
    async isTooMuch(ownerId, count = 1) {
      // The platform's limiter counts one at a time.
      for (let counted = 0; counted < count; counted += 1) if (await isOver(limiters.mcp, ownerId)) return true;
      return false;
    },
  };
}

/** No client takes `temporarily_unavailable` for the end of its sign-in, as they do with `invalid_grant` and `server_error`. */
function oauthRefusal(request: Request): Response {
  return refuseOAuth(request, {
    status: 429,
    error: "temporarily_unavailable",
    description: "Too many requests from this network",
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

function pageRefusal(): Promise<Response> {
  const body = <p>Many requests came from your network within a minute. Wait a minute, then try again.</p>;
  const headers = new Headers({ "Retry-After": String(RETRY_AFTER_SECONDS) });
  return htmlPage({ title: "Too many requests", body, status: 429, headers });
}
