// Extracts code from Markdown files, so that tests can run it.

/** Returns the fenced blocks of a language, in order, without the indentation of a surrounding list. */
export function codeBlocks(markdown: string, language: string): readonly string[] {
  const blocks = markdown.matchAll(/^( *)```(\S+)\n([^]*?)^ *```$/gm);
  return [...blocks].flatMap(([, indentation = "", blockLanguage, text = ""]) =>
    blockLanguage === language ? [text.replaceAll(new RegExp(`^${indentation}`, "gm"), "")] : [],
  );
}

/** Returns the code in the first cell of each table row that begins with code. */
export function firstCells(markdown: string): readonly (readonly string[])[] {
  return [...markdown.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
  );
}
