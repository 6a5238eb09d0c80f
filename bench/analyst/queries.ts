// Parses a list of benchmarked queries from SQL text.

/** A benchmarked query. */
export interface AnalystQuery {
  readonly name: string;
  readonly sql: string;
  /** Whether ORDER BY decides the place of every row. */
  readonly isOrdered: boolean;
  /** What a governed run may take, whatever the direct one takes; undefined for no such bound. */
  readonly maxMs: number | undefined;
}

/** Parses queries that each follow a line `-- name: …`, and lines such as `-- order: total` and `-- limit: 2 s`. */
export function parseQueries(text: string): readonly AnalystQuery[] {
  const [, ...parts] = text.split(/^-- name: /m);
  return parts.map((part) => {
    const [name = "", ...lines] = part.trim().split("\n");
    const comments = lines.filter((line) => line.startsWith("-- "));
    const limitSeconds = /^-- limit: (\d+) s$/m.exec(comments.join("\n"))?.[1];
    return {
      name: name.trim(),
      sql: lines
        .filter((line) => !line.startsWith("-- "))
        .join("\n")
        .replace(/;\s*$/, "")
        .trim(),
      isOrdered: comments.includes("-- order: total"),
      maxMs: limitSeconds === undefined ? undefined : Number(limitSeconds) * 1000,
    };
  });
}
