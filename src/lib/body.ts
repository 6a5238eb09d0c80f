// Reading request bodies that have a limit.

/** The body as text, or undefined when it has more than `maxBytes`, whatever Content-Length says. */
export async function readText(request: Request, maxBytes: number): Promise<string | undefined> {
  const declared = request.headers.get("Content-Length");
  if (Number(declared ?? 0) > maxBytes) return undefined;
  if (request.body === null) return "";
  // HTTP holds a body to the length it declares (RFC 9112 §6.3), so this one is bounded and can be read in one step.
  if (declared !== null && /^[0-9]+$/.test(declared)) return new TextDecoder().decode(await request.arrayBuffer());
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
