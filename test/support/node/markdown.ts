// Reads what a Markdown file shows as code, so that tests can run it.

/** The fenced blocks of a language, in order. A block in a list comes without the list's indentation. */
export function codeBlocks(markdown: string, language: string): readonly string[] {
  const blocks = markdown.matchAll(/^( *)```(\S+)\n([^]*?)^ *```$/gm);
  return [...blocks].flatMap(([, indentation = "", found, text = ""]) =>
    found === language ? [text.replaceAll(new RegExp(`^${indentation}`, "gm"), "")] : [],
  );
}

/** The first cells of the tables' rows that hold code, each with all its codes. */
export function firstCells(markdown: string): readonly (readonly string[])[] {
  return [...markdown.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
  );
}
