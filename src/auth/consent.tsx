// The consent page: which program asks, how far its name can be believed, where the answer goes, and what it will be
// able to do. Every text of the client is untrusted; JSX escapes it.
import type { ConsentDescription } from "@cloudflare/workers-oauth-provider";
import { displayName, escapeInvisible } from "../lib/visible-text.ts";
import { Notice } from "../ui/parts.tsx";
import { documentHost } from "./client-documents/document-url.ts";
import { privateUseScheme } from "./redirect-uri.ts";

export interface ConsentPageProps {
  readonly organisation: string;
  readonly details: ConsentDescription;
  /** What it will be able to do, in words. */
  readonly access: readonly string[];
  /** Single use, bound to this browser. */
  readonly handle: string;
}

/** The question that the page asks, also its title. */
export function consentTitle(organisation: string): string {
  return `Connect an assistant to ${organisation}?`;
}

export function ConsentPage({ organisation, details, access, handle }: ConsentPageProps) {
  const { clientId, clientName, redirectUri, redirectHost, redirectIsLoopback } = details;
  const host = documentHost(clientId);
  const scheme = privateUseScheme(redirectUri);
  return (
    <>
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
              // The whole address: many publishers can share a host.
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
              // Its host is a name that the program chose: no site, and no computer.
              <>
                the program on your computer that opens <strong>{scheme}</strong> links:{" "}
                {escapeInvisible(new URL(redirectUri).href)}
              </>
            )}
          </dd>
        </dl>
      </div>
      {scheme !== undefined && (
        <Notice>
          <p>
            Any program on your computer can claim {scheme} links. Continue only if you just started connecting from the
            program that they belong to.
          </p>
        </Notice>
      )}
      {scheme === undefined && redirectIsLoopback && (
        <Notice>
          <p>The answer goes to a program on your own computer. Continue only if you just started connecting it.</p>
        </Notice>
      )}
      <div class="sheet">
        <p>In your name, with the data of {organisation}, it will be able to:</p>
        <ul>
          {access.map((words) => (
            <li>{words}</li>
          ))}
        </ul>
        <p class="soft">It cannot change anything. What it reads is handled by the assistant you use it with.</p>
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
