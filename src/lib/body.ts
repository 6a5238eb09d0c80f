// Reads request bodies with a size limit.

/**
 * Reads the body as text; undefined when it has more than `maxBytes`, whatever Content-Length says. A fatal decoder throws `TypeError`
 * for bytes that are not UTF-8; the default one replaces them.
 */
export async function readBodyText(
  request: Request,
  maxBytes: number,
  decoder = new TextDecoder(),
): Promise<string | undefined> {
  const declaredBytes = request.headers.get("Content-Length");
  if (Number(declaredBytes ?? 0) > maxBytes) return undefined;
  if (request.body === null) return "";
  // HTTP limits a body to its declared length (RFC 9112 §6.3), so this body is bounded and can be read in one step.
  if (declaredBytes !== null && /^[0-9]+$/.test(declaredBytes)) return decoder.decode(await request.arrayBuffer());
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
