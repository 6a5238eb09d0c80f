// How to connect each client to this server: the exact line or snippet, and the one-click install if the client has one. The start page
// and the scripts show these guides.

/** The name that clients show for this server. */
const SERVER_NAME = "gatehouse";

/** How to connect one client. */
export interface ClientGuide {
  readonly client: string;
  /** What to do with the text of `paste`. */
  readonly how: string;
  /** The exact text: a command, a snippet, or the URL. */
  readonly paste: string;
  /** What to do next to sign in; absent when the client asks for sign-in by itself. */
  readonly next?: string;
  /** A link that opens the client with this server filled in. */
  readonly install?: string;
  /** Whether the client connects from the internet, so that it cannot reach a server on the user's machine. */
  readonly isHosted: boolean;
}

/** Lists the guides of all clients for a server's MCP URL, in the order in which to show them. */
export function listClientGuides(resource: string): readonly ClientGuide[] {
  const isHosted = false;
  return [
    {
      client: "Claude Code",
      how: "Run this in a terminal.",
      paste: `claude mcp add --transport http ${SERVER_NAME} ${resource}`,
      next: `Then type /mcp in Claude Code and choose ${SERVER_NAME} to sign in.`,
      isHosted,
    },
    {
      client: "Claude.ai",
      how: "Settings → Connectors → Add custom connector, and paste this URL. The desktop and mobile apps then have it too.",
      paste: resource,
      isHosted: true,
    },
    {
      client: "ChatGPT",
      how: "Settings → Apps → Advanced settings: turn on developer mode. Then Create app, with this URL and OAuth.",
      paste: resource,
      isHosted: true,
    },
    {
      client: "Cursor",
      how: "Add this to .cursor/mcp.json.",
      paste: snippet({ mcpServers: { [SERVER_NAME]: { url: resource } } }),
      install: cursorLink(resource),
      isHosted,
    },
    {
      client: "VS Code",
      how: "Run this in a terminal.",
      paste: `code --add-mcp '${snippet({ name: SERVER_NAME, type: "http", url: resource })}'`,
      install: vsCodeLink(resource),
      isHosted,
    },
    {
      client: "Codex",
      how: "Run this in a terminal.",
      paste: `codex mcp add ${SERVER_NAME} --url ${resource}`,
      isHosted,
    },
    {
      client: "Gemini CLI",
      how: "Run this in a terminal.",
      paste: `gemini mcp add --transport http ${SERVER_NAME} ${resource}`,
      next: `Then type /mcp auth ${SERVER_NAME} in Gemini CLI to sign in.`,
      isHosted,
    },
    {
      client: "Any other",
      how: "Add this to its MCP configuration. Many clients ask only for the URL.",
      paste: snippet({ mcpServers: { [SERVER_NAME]: { type: "http", url: resource } } }),
      isHosted,
    },
  ];
}

/** Lists the guides of the clients that can reach the server. */
export function listReachableGuides(resource: string): readonly ClientGuide[] {
  return listClientGuides(resource).filter((guide) => isReachable(guide, resource));
}

/** Whether a client can reach the server. A URL with http is a server on the user's machine (see `parseEnv`). */
export function isReachable({ isHosted }: ClientGuide, resource: string): boolean {
  return !isHosted || new URL(resource).protocol === "https:";
}

function cursorLink(resource: string): string {
  const config = btoa(JSON.stringify({ url: resource }));
  return `cursor://anysphere.cursor-deeplink/mcp/install?name=${SERVER_NAME}&config=${encodeURIComponent(config)}`;
}

function vsCodeLink(resource: string): string {
  return `vscode:mcp/install?${encodeURIComponent(JSON.stringify({ name: SERVER_NAME, type: "http", url: resource }))}`;
}

/** Formats JSON on one line, with spaces where a narrow page can break it. */
function snippet(value: object): string {
  return JSON.stringify(value, null, 1).replaceAll(/\n */g, " ");
}
