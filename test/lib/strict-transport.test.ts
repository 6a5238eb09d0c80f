// The Strict-Transport-Security header: on every response over https, and on none over http.
import { describe, expect, it } from "vitest";
import { ORIGIN, send } from "../support/worker.ts";

const SECURE = ORIGIN.replace("http:", "https:");
const HEADER = "Strict-Transport-Security";

describe("Strict-Transport-Security", () => {
  it.each([
    ["a page", "GET", "/"],
    ["a missing page", "GET", "/nothing"],
    ["a refused sign-in", "GET", "/authorize"],
    ["a redirect", "GET", "/sign-in"],
    ["metadata", "GET", "/.well-known/oauth-authorization-server"],
    ["a refused token request", "POST", "/oauth/token"],
    ["a preflight", "OPTIONS", "/mcp"],
    ["a challenge", "GET", "/mcp"],
    ["a response without a body", "HEAD", "/"],
  ])("is sent with %s over https only", async (_name, method, path) => {
    const secure = await send(`${SECURE}${path}`, { method });
    expect(secure.headers.get(HEADER)).toBe("max-age=31536000");
    const plain = await send(`${ORIGIN}${path}`, { method });
    expect(plain.headers.get(HEADER)).toBeNull();
    expect(plain.status).toBeLessThan(500);
  });

  it("is sent over https with a refusal for another host", async () => {
    const refusal = await send("https://other.example/");
    expect(refusal.status).toBe(403);
    expect(refusal.headers.get(HEADER)).toBe("max-age=31536000");
  });
});
