// Sends requests over a socket that no client library sends: odd targets and Host headers must be refused without an internal error.
import { connect } from "node:net";
import { describe, expect, inject, it } from "vitest";

const { host, port } = new URL(inject("origin"));

interface Raw {
  readonly method?: string;
  readonly target?: string;
  /** All header lines except `Connection`. */
  readonly headers?: readonly string[];
}

/** Sends a request unchanged and returns the status and the whole answer. */
async function ask({ method = "GET", target = "/", headers = [`Host: ${host}`] }: Raw) {
  const lines = [`${method} ${target} HTTP/1.1`, ...headers, "Connection: close", "", ""];
  const answer = await new Promise<string>((resolve, reject) => {
    let text = "";
    const socket = connect({ host: "127.0.0.1", port: Number(port) }, () => socket.write(lines.join("\r\n")));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
  return { status: Number(answer.split(" ")[1]), answer };
}

describe("a request target that is not a path", () => {
  it.each([
    ["GET", "*"],
    ["OPTIONS", "*"],
    ["POST", "*"],
    ["HEAD", "*"],
    ["GET", "?x"],
    ["GET", "@evil.example/"],
    ["GET", ".evil.example/"],
    ["GET", ""],
  ])("gets 400: %s %j", async (method, target) => {
    expect((await ask({ method, target })).status).toBe(400);
  });
});

describe("an invalid Host header", () => {
  it.each([
    ["a star", ["Host: *"]],
    ["a star with a domain", ["Host: *.example.com"]],
    ["the same host twice", [`Host: ${host}`, `Host: ${host}`]],
    ["two hosts", [`Host: ${host}`, "Host: evil.example"]],
    ["two hosts with ours last", ["Host: evil.example", `Host: ${host}`]],
    ["two hosts in one line", [`Host: ${host}, evil.example`]],
    ["a missing header", []],
    ["an empty header", ["Host:"]],
    ["a port that is too large", ["Host: localhost:99999"]],
    ["a port that is a word", ["Host: localhost:http"]],
    ["an empty port", ["Host: localhost:"]],
    ["user-info", [`Host: user:password@${host}`]],
    ["another host as user-info", [`Host: evil.example@${host}`]],
    ["a path", [`Host: ${host}/mcp`]],
    ["a query", [`Host: ${host}?x=`]],
    ["a fragment", [`Host: ${host}#x`]],
    ["a space", ["Host: local host"]],
    ["a percent-encoded letter", [`Host: %6cocalhost:${port}`]],
    ["an open bracket", ["Host: [::1"]],
    ["a letter beyond ASCII", ["Host: löcalhost"]],
    ["a backslash", [`Host: ${host}\\evil.example`]],
  ])("gets 400: %s", async (_name, headers) => {
    for (const target of ["/", "/mcp", "/authorize", "/oauth/token"]) {
      const { status, answer } = await ask({ target, headers });
      expect(status, target).toBe(400);
      expect(answer).not.toContain("evil.example");
    }
  });

  it("gets 403 when it is valid but names another host", async () => {
    expect((await ask({ headers: ["Host: evil.example"] })).status).toBe(403);
    expect((await ask({ target: "/mcp", headers: ["Host: evil.example"] })).status).toBe(403);
  });

  it("gets 200 when it is our host in capital letters", async () => {
    expect((await ask({ headers: [`Host: ${host.toUpperCase()}`] })).status).toBe(200);
  });
});

describe("an absolute request target", () => {
  it.each([`http://${host}/`, "http://evil.example/", `https://${host}/`])(
    "is served according to the Host header: %s",
    async (target) => {
      const { status, answer } = await ask({ target });
      expect(status).toBe(200);
      expect(answer).not.toContain("evil.example");
    },
  );
});

describe("an odd path", () => {
  it.each(["//evil.example/mcp", "/\\evil.example", "/%zz%ff", "/%00", "/mcp/%zz", "/a/../%2e%2e/etc/passwd"])(
    "gets 404: %s",
    async (target) => {
      expect((await ask({ target })).status).toBe(404);
    },
  );
});
