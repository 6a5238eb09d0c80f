// Pages for a sign-in that cannot continue because of data that the client stored: they say what to clear in each client.
import { isDocumentUrl } from "./clients/document-url.ts";
import { CLIENT_DOCUMENTS_VARIABLE } from "../sign-in/sign-in-settings.ts";
import { htmlPage } from "../ui/layout.tsx";

interface ClearingStep {
  readonly client: string;
  /** How the user clears the client's stored registration and credentials. */
  readonly how: string;
  readonly command?: string;
}

/** The commands need the client's name for this server; the start page suggests `gatehouse`. */
const CLEARING: readonly ClearingStep[] = [
  {
    client: "Claude Code",
    how: "Type /mcp, choose this server, then “Clear authentication”. Or remove the server, and add it again:",
    command: "claude mcp remove gatehouse",
  },
  {
    client: "Claude.ai, Claude Desktop and mobile",
    how: "Settings → Connectors: remove this connector, then add it again.",
  },
  { client: "ChatGPT", how: "Settings → Apps: remove this app, then create it again." },
  {
    client: "Cursor",
    how: "Command palette → “Clear All MCP Tokens”. Or Settings → MCP: log out of this server.",
  },
  { client: "VS Code", how: "Command palette → “Authentication: Remove Dynamic Authentication Providers”." },
  { client: "Codex", how: "Run this, then sign in again:", command: "codex mcp logout gatehouse" },
  { client: "Gemini CLI", how: "Delete this file, then type /mcp auth:", command: "~/.gemini/mcp-oauth-tokens.json" },
  { client: "opencode", how: "Run this, then sign in again:", command: "opencode mcp logout gatehouse" },
  { client: "mcp-remote", how: "Delete this folder:", command: "~/.mcp-auth" },
  { client: "MCP Inspector", how: "Open Auth Settings, then press “Clear OAuth State”." },
  { client: "Any other", how: "Remove this server from its list of MCP servers, then add it again." },
];

/** Explains a consent or sign-in that was used, has expired or belongs to another browser: its state is gone, so the cause is unknown. */
export function usedUpPage(): Promise<Response> {
  return startAgainPage([
    "This sign-in is over: it was already used, it has expired, or it was started in another browser.",
    "Close this page, and connect from your assistant again.",
    "If this page appears again, your assistant is still using an old sign-in. Clear it there:",
  ]);
}

/** Explains a redirect URI that the client did not register; `description` says what is wrong. */
export function wrongRedirectPage(description: string): Promise<Response> {
  return startAgainPage([
    `${description}. Your assistant did not register this address here.`,
    "Connect from your assistant again. If this page appears again, clear its old registration there:",
  ]);
}

/** Explains a client that this server does not know: its registration has expired or belongs to another server. */
export function unknownClientPage(clientId: string): Promise<Response> {
  const reason = isDocumentUrl(clientId)
    ? "Your assistant identifies itself with an address from which this server fetches no description."
    : "This server does not know your assistant: its registration here has expired, was removed or belongs to another server.";
  return startAgainPage([
    reason,
    "Your assistant has stored data about this server and would send you here each time. Clear that data, then connect again:",
  ]);
}

function startAgainPage(texts: readonly string[]): Promise<Response> {
  const body = (
    <>
      {texts.map((text) => (
        <p>{text}</p>
      ))}
      <ul class="rows">
        {CLEARING.map(({ client, how, command }) => (
          <li>
            <div>
              <strong>{client}</strong>
              <p>
                {how} {command !== undefined && <code>{command}</code>}
              </p>
            </div>
          </li>
        ))}
      </ul>
    </>
  );
  return htmlPage({ title: "This did not work", body, status: 400 });
}

/**
 * Explains a client whose metadata document this server could not use. Only the log has the host's response: on the page it
 * would let a stranger probe hosts through this server.
 */
export function documentPage(documentUrl: string): Promise<Response> {
  const { host } = new URL(documentUrl);
  const body = (
    <>
      <p>
        The program's description could not be fetched or is not valid. This server asked <strong>{host}</strong> for
        it.
      </p>
      <p>Wait a minute, then connect from your assistant again.</p>
      <p>
        If this page appears again, tell the operator of this server; the reason is in its log. If the server cannot
        reach {host}, the setting <code>{CLIENT_DOCUMENTS_VARIABLE}=off</code> lets assistants register without a
        description.
      </p>
    </>
  );
  return htmlPage({ title: "This did not work", body, status: 400 });
}
