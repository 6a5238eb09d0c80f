// Titles of documents: from front matter and headings, never from code, comments or HTML.
import { expect, it } from "vitest";
import { findTitle } from "../../src/documents/document-title.ts";

it.each([
  ["# Returns\n\ntext", "Returns"],
  ["\uFEFF# With a byte order mark", "With a byte order mark"],
  ["text\n\n   ##  Second level ##  \n", "Second level"],
  ["###### Sixth", "Sixth"],
  ["####### Seven\n# One", "One"],
  ["#hashtag\n# Title", "Title"],
  ["# \n\n# Title", "Title"],
  ["## ##\n# Title", "Title"],
  ["# C#", "C#"],
  ["# foo#", "foo#"],
  ["# Issue \\#", "Issue #"],
  ["# foo ### b", "foo ### b"],
  ["#\tTab\t#", "Tab"],
  ["# One\r\ntext", "One"],
  ["# Title <!-- note -->", "Title"],
  ["Title\n=====\n", "Title"],
  ["Two\nlines\n---", "Two lines"],
  ["text\n\n---\n\n# Title", "Title"],
  ["- item\n---\n# Title", "Title"],
  ["> quote\n===\n# Title", "Title"],
  ["```sh\n# install\n```\n# Title", "Title"],
  ["````\n```\n# code\n````\n# Title", "Title"],
  ["~~~\n# code\n```\n# still code\n~~~\n# Title", "Title"],
  ["   ```py\n   # code\n   ```\n# Title", "Title"],
  ["```\n# never closed", "key.md"],
  ["``` not `a fence\n# Title", "Title"],
  ["    # indented code\n\n# Title", "Title"],
  ["\t# indented code\n\n# Title", "Title"],
  ["<!-- # hidden -->\n# Title", "Title"],
  ["<!--\n# hidden\n\n# hidden\n-->\n# Title", "Title"],
  ["text <!-- from here\n# hidden\n-->\n# Title", "Title"],
  ["Write `<!--` so\n# Title", "Title"],
  ["<pre>\n# code\n\n# code\n</pre>\n# Title", "Title"],
  ["<div>\n# html\n</div>\n\n# Title", "Title"],
  ["> # quoted\n\n# Title", "Title"],
  ["- ```\n  # code\n  ```\n# Title", "Title"],
  ["1. ~~~ sh\n   # code\n   ~~~\n\n# Title", "Title"],
  ["> ```\n> # code\n> ```\n\n# Title", "Title"],
  ["> - ```\n>   # code\n>   ```\n\n# Title", "Title"],
  ["- ```\n  never closed\n# Title", "Title"],
  ["> ```\n> never closed\n\n# Title", "Title"],
  ["- <pre>\n  # code\n  </pre>\n# Title", "Title"],
  ["# Title # #", "Title #"],
  ["# Title \t##\t", "Title"],
  ["# One <!-- a --> two <!-- b -->", "One  two"],
  ["no heading", "key.md"],
  ["", "key.md"],
])("finds the title of %j as %j", (text, title) => {
  expect(findTitle("key.md", text)).toBe(title);
});

it.each([
  ["---\ntitle: Returns\n---\n# Heading", "Returns"],
  ['---\nlayout: x\ntitle: "Quoted: \\"yes\\" \\u00e9"\n---\n', 'Quoted: "yes" é'],
  ["---\ntitle: 'It''s'\n---\n", "It's"],
  ["---\nTitle: Capital # comment\n...\n# Heading", "Capital"],
  ["---\ntitle: C# guide\n---\n", "C# guide"],
  ["---\ntitle: A # b # c\n---\n", "A"],
  ["---\ntitle: # only a comment\n---\n# Heading", "Heading"],
  ["---\ntitle: >-\n  Folded\n  text\n---\n", "Folded text"],
  ["---\ntitle:\n---\n# Heading", "Heading"],
  ['---\ntitle: ""\n---\n# Heading', "Heading"],
  ["---\ntitle: null\n---\n# Heading", "Heading"],
  ["---\nother:\n  title: Nested\n---\n# Heading", "Heading"],
  ["---\n# a comment\nother: x\n---\n# Heading", "Heading"],
  ["---\nsubtitle: No\n---\n\nHeading\n===", "Heading"],
  ['+++\ntitle = "TOML"\n+++\n# Heading', "TOML"],
  ["+++\ntitle='TOML'\n+++\n", "TOML"],
  ["---\n\n# Heading after a line", "Heading after a line"],
  ["\uFEFF---\r\ntitle: Windows\r\n---\r\n", "Windows"],
])("finds the title in the front matter of %j as %j", (text, title) => {
  expect(findTitle("key.md", text)).toBe(title);
});

it.each(["a.csv", "a.TSV", "a.json", "a.jsonl", "setup.sh", "config.yaml"])(
  "uses the key of %s as its title",
  (key) => {
    expect(findTitle(key, "# not a heading\n")).toBe(key);
  },
);

it("shortens a long title without splitting a character", () => {
  const title = findTitle("a.md", `# ${"🦀".repeat(400)}`);
  expect(title.isWellFormed()).toBe(true);
  expect(title.length).toBeLessThanOrEqual(300);
});

const SPACES = " ".repeat(90_000);
it.each([
  ["spaces within a heading", `# a${SPACES}b`],
  ["spaces before closing signs that are none", `# a${SPACES}##b`],
  ["spaces in a title in front matter", `---\ntitle: a${SPACES}b\n---\n`],
  ["spaces and a line separator after a heading's sign", `#${SPACES}\u2028`],
  ["spaces and a line separator in front matter", `---\ntitle:${SPACES}\u2028\n---\n`],
  ["comments and a line separator in front matter", `---\ntitle: a${" #".repeat(45_000)}\u2028b\n---\n`],
  ["tildes and a line separator", `${"~".repeat(90_000)}\u2028`],
  ["openings of comments in a code span", `# \`${"<!--".repeat(24_000)}\``],
])("finds a title in %s in under a second", (_name, text) => {
  const startedAtMs = performance.now();
  findTitle("a.md", text);
  expect(performance.now() - startedAtMs).toBeLessThan(1000);
});
