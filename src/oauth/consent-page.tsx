// The consent page: shows which program asks, whether its name is verified, where the answer goes and what the program will be
// able to do. All text from the client is untrusted; JSX escapes it.
import type { ConsentDescription } from "@cloudflare/workers-oauth-provider";
import { displayName, escapeInvisible } from "../lib/visible-text.ts";
import { Notice } from "../ui/components.tsx";
import { documentHost } from "./clients/document-url.ts";
import { getPrivateUseScheme } from "./clients/redirect-uri.ts";

interface ConsentPageProps {
  readonly organisation: string;
  readonly details: ConsentDescription;
  /** Sentences that say what the program will be able to do. */
  readonly access: readonly string[];
  /** The single-use handle of the consent, bound to this browser. */
  readonly handle: string;
}

/** Returns the question that is the title of the page. */
export function consentTitle(organisation: string): string {
  return `Connect an assistant to ${organisation}?`;
}

/** Shows the program, who vouches for its name, and where the authorization code goes. */
function ClientSummary({
  details,
  scheme,
}: {
  readonly details: ConsentDescription;
  readonly scheme: string | undefined;
}) {
  const { clientId, clientName, redirectUri, redirectHost } = details;
  const host = documentHost(clientId);
  return (
    <div class="sheet">
      <dl>
        <dt>Program</dt>
        <dd>
          <strong>
            <bdi>{displayName(clientName)}</bdi>
          </strong>
        </dd>
        <dt>Published by</dt>
        <dd>
          {host === undefined ? (
            "unverified: the program chose this name itself"
          ) : (
            // The whole URL, because several publishers can share a host.
            <>
              <strong>{host}</strong>
              <br />
              <code>{clientId}</code>
            </>
          )}
        </dd>
        <dt>The answer goes to</dt>
        <dd>
          {scheme === undefined ? (
            <strong>{escapeInvisible(redirectHost)}</strong>
          ) : (
            // The host of a private-use URI is a name that the program chose, not a website or computer.
            <>
              the program on your computer that opens <strong>{scheme}</strong> links:{" "}
              {escapeInvisible(new URL(redirectUri).href)}
            </>
          )}
        </dd>
      </dl>
    </div>
  );
}

/** Warns when the answer goes to a private-use scheme, which any program can claim, or to a program on the user's computer. */
function RedirectNotice({ scheme, isLoopback }: { readonly scheme: string | undefined; readonly isLoopback: boolean }) {
  if (scheme !== undefined)
    return (
      <Notice>
        <p>
          Any program on your computer can claim {scheme} links. Continue only if you just started connecting from the
          program that they belong to.
        </p>
      </Notice>
    );
  if (!isLoopback) return null;
  return (
    <Notice>
      <p>The answer goes to a program on your own computer. Continue only if you just started connecting it.</p>
    </Notice>
  );
}

/** Renders the body of the consent page. */
export function ConsentPage({ organisation, details, access, handle }: ConsentPageProps) {
  const scheme = getPrivateUseScheme(details.redirectUri);
  return (
    <>
      <ClientSummary details={details} scheme={scheme} />
      <RedirectNotice scheme={scheme} isLoopback={details.redirectIsLoopback} />
      <div class="sheet">
        <p>On your behalf, with the data of {organisation}, it will be able to:</p>
        <ul>
          {access.map((sentence) => (
            <li>{sentence}</li>
          ))}
        </ul>
        <p class="soft">
          It can propose changes of data where your rules allow them. It cannot approve one: you or a reviewer look at
          it first, on a page of this server, unless your organisation has decided that a change needs no approval, or
          that you may approve it in a form of this client. The data that it reads goes to your assistant.
        </p>
      </div>
      <form method="post">
        <input type="hidden" name="handle" value={handle} />
        <button class="primary" type="submit" name="decision" value="approve">
          Connect
        </button>
        <button type="submit" name="decision" value="deny">
          Do not connect
        </button>
      </form>
    </>
  );
}
