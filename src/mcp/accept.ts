// What a client can read, by its Accept header (RFC 9110 §12.5.1). Clients write it in every way that HTTP allows.

/** A weight of 0 means "not acceptable". */
const WEIGHT_ZERO = /^0(?:\.0{0,3})?$/;
/** Commas and semicolons inside a quoted parameter separate nothing. */
const QUOTED = /"(?:[^"\\]|\\.)*(?:"|$)/g;

interface MediaRange {
  readonly type: string;
  readonly isAcceptable: boolean;
}

/** Whether the header takes a media type, by its most specific range. A header that is missing or empty takes everything. */
export function accepts(header: string | null, mediaType: string): boolean {
  const ranges = parseRanges(header ?? "");
  return ranges.length === 0 || takes(ranges, mediaType, ["*/*"]);
}

/** Whether the header takes a media type by name or family. "Anything" is what clients say that have not thought of it. */
export function acceptsByName(header: string | null, mediaType: string): boolean {
  return takes(parseRanges(header ?? ""), mediaType, []);
}

function takes(ranges: readonly MediaRange[], mediaType: string, others: readonly string[]): boolean {
  const [family = ""] = mediaType.split("/");
  for (const type of [mediaType, `${family}/*`, ...others]) {
    const matching = ranges.filter((range) => range.type === type);
    if (matching.length > 0) return matching.some(({ isAcceptable }) => isAcceptable);
  }
  return false;
}

function parseRanges(header: string): readonly MediaRange[] {
  const elements = header.toLowerCase().replaceAll(QUOTED, "").split(",");
  return elements.flatMap((element) => {
    const [type = "", ...parameters] = element.split(";").map((part) => part.trim());
    if (type === "") return [];
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    return [{ type, isAcceptable: weight === undefined || !WEIGHT_ZERO.test(weight) }];
  });
}
