// How each client is told about this server: one line to paste, or one snippet. Shown by the home page and `npm start`.

export interface ClientLine {
  readonly client: string;
  readonly how: string;
  readonly paste: string;
}

/** The lines for a server's MCP URL, most used clients first. */
export function clientLines(resource: string): readonly ClientLine[] {
  const isLocal = new URL(resource).hostname === "localhost";
  const claude = { client: "Claude.ai", how: "Settings → Connectors → Add custom connector", paste: resource };
  return [
    { client: "Claude Code", how: "in a terminal", paste: `claude mcp add --transport http gatehouse ${resource}` },
    // It connects from outside, which cannot reach one's own machine.
    ...(isLocal ? [] : [claude]),
    {
      client: "Cursor",
      how: "in .cursor/mcp.json",
      paste: JSON.stringify({ mcpServers: { gatehouse: { url: resource } } }),
    },
    {
      client: "Any other",
      how: "in its MCP configuration",
      paste: JSON.stringify({ mcpServers: { gatehouse: { type: "http", url: resource } } }),
    },
  ];
}
