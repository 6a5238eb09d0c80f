// The pages for a sign-in that cannot go on with what the client keeps: what to clear, in which client, and what this server tried.
import { isDocumentUrl } from "./client-documents/document-url.ts";
import { CLIENT_DOCUMENTS_VARIABLE } from "./settings.ts";
import { htmlPage } from "../ui/layout.tsx";

interface ClearingStep {
  readonly client: string;
  /** Where the client keeps its registration and tokens, and how they are cleared. */
  readonly how: string;
  readonly command?: string;
}

/** The commands take the name under which the client lists this server; `gatehouse` is the one that the start page gives it. */
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

/** For a consent or a sign-in that was used, has expired, or is of another browser: once it is gone, nothing tells which. */
export function usedUpPage(): Promise<Response> {
  return startAgainPage([
    "This sign-in is over: it was already used, it has expired, or it was started in another browser.",
    "Close this page, and connect from your assistant once more.",
    "If this page comes again, your assistant goes on with an old sign-in. Clear it there:",
  ]);
}

/** For a client that asks to return to an address other than those it registered; `description` says what is wrong. */
export function wrongRedirectPage(description: string): Promise<Response> {
  return startAgainPage([
    `${description}. It is none of the addresses that your assistant registered here.`,
    "Connect from your assistant once more. If this page comes again, clear its old registration there:",
  ]);
}

/** For a client that this server does not know: its registration has expired, or is of another server. */
export function unknownClientPage(clientId: string): Promise<Response> {
  const reason = isDocumentUrl(clientId)
    ? "Your assistant names itself by an address that this server does not ask for a description."
    : "This server does not know your assistant: its registration here has expired or was removed, or it is of another server.";
  return startAgainPage([
    reason,
    "Your assistant keeps what it knows of this server, and would send you here each time. Clear it there, then connect again:",
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

/** For a client whose metadata document this server could not use. What its host answered is in the log: here it would tell a stranger. */
export function documentPage(documentUrl: string): Promise<Response> {
  const { host } = new URL(documentUrl);
  const body = (
    <>
      <p>
        The program's description could not be fetched or is not valid. This server asked <strong>{host}</strong> for
        it.
      </p>
      <p>Connect from your assistant once more in a minute.</p>
      <p>
        If this page comes again, tell the operator of this server: the reason is in its log. Where the server cannot
        reach {host}, the setting <code>{CLIENT_DOCUMENTS_VARIABLE}=off</code> lets assistants register without a
        description.
      </p>
    </>
  );
  return htmlPage({ title: "This did not work", body, status: 400 });
}
