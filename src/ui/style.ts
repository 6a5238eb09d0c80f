// The style sheet of every page. It is inlined into each page, so it stays small. Light and dark follow the reader's system; text has a
// contrast of at least 4.5 to 1 in both.

const COLOURS = `
:root {
  color-scheme: light dark; --ground: #f5f6f4; --sheet: #ffffff; --sunk: #f0f2ef; --line: #dadfd9;
  --text: #1b2420; --soft: #55615b; --accent: #0d6b57; --accent-text: #ffffff; --tint: #e3f1ec;
  --warn: #8a3b12; --warn-tint: #fdf0e6; --danger: #a3221f; --danger-text: #ffffff;
  --type-xs: 0.8rem; --type-s: 0.875rem; --type-l: 1.1rem; --type-xl: 1.2rem;
  --space-1: 0.25rem; --space-2: 0.5rem; --space-3: 0.75rem; --space-4: 1.1rem; --space-5: 2.5rem; --round: 12px; --round-s: 8px;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #101513; --sheet: #181f1c; --sunk: #111715; --line: #2e3934; --text: #e7ece9; --soft: #a3b0aa;
    --accent: #6fd1b6; --accent-text: #06251d; --tint: #16302a; --warn: #f3b183; --warn-tint: #33231a;
    --danger: #ff9b94; --danger-text: #2d0906;
  }
}`;

const TEXT = `
*, ::before, ::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1, h2, h3, p, ul, ol, dl, dd, pre { margin: 0; }
h1 {
  font-size: clamp(1.6rem, 1.2rem + 1.8vw, 2.25rem); line-height: 1.18; letter-spacing: -0.015em;
  text-wrap: balance; overflow-wrap: anywhere;
}
h2 { font-size: var(--type-xl); line-height: 1.3; letter-spacing: -0.005em; }
h3 { font-size: 1rem; line-height: 1.4; }
a { color: var(--accent); text-underline-offset: 0.15em; }
strong, dd, li, p { overflow-wrap: anywhere; }
code, pre { font: var(--type-s)/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.soft { color: var(--soft); }
.small { font-size: var(--type-s); }
.lead { font-size: var(--type-l); color: var(--soft); max-width: 38rem; text-wrap: pretty; }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }`;

const FRAME = `
body > header, main, body > footer { max-width: 42rem; margin-inline: auto; padding-inline: 1.25rem; }
.wide > header, .wide main, .wide > footer { max-width: 60rem; }
body > header {
  display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.5rem 1.5rem;
  padding-block: var(--space-4);
}
.brand {
  display: flex; align-items: center; gap: 0.6rem; font-weight: 650; color: inherit; text-decoration: none;
  min-width: 0; overflow-wrap: anywhere;
}
.brand svg { width: 1.6rem; height: 1.6rem; flex: none; color: var(--accent); }
.who { display: flex; flex-wrap: wrap; align-items: center; gap: 0.4rem 0.9rem; font-size: var(--type-s); color: var(--soft); }
main { padding-block: 1rem 3rem; }
main > * + * { margin-top: var(--space-4); }
main > section { margin-top: var(--space-5); }
main > section > * + * { margin-top: 1rem; }
body > footer p { padding-block: 1.25rem 2rem; border-top: 1px solid var(--line); font-size: var(--type-s); color: var(--soft); }
@media (min-width: 48rem) { body > header { padding-block: 1.5rem; } main { padding-block: 1.75rem 4rem; } }`;

const PARTS = `
.sheet { background: var(--sheet); border: 1px solid var(--line); border-radius: var(--round); padding: 1.25rem; }
.sheet > * + * { margin-top: var(--space-3); }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); list-style: none; padding: 0; }
.card {
  background: var(--sheet); border: 1px solid var(--line); border-radius: var(--round); padding: var(--space-4);
  display: flex; flex-direction: column; gap: 0.6rem; min-width: 0;
}
.rows { list-style: none; padding: 0; background: var(--sheet); border: 1px solid var(--line); border-radius: var(--round); }
.rows > li {
  display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.5rem 1rem;
  padding: 0.9rem 1.1rem;
}
.rows > li + li { border-top: 1px solid var(--line); }
.rows > li > :first-child { flex: 1 1 14rem; min-width: 0; }
.address { display: grid; gap: 0.35rem; max-width: 38rem; }
.copy {
  background: var(--sunk); border: 1px solid var(--line); border-radius: var(--round-s); padding: 0.6rem 0.75rem;
  white-space: pre-wrap; overflow-wrap: anywhere; -webkit-user-select: all; user-select: all;
}
.asks { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr)); list-style: none; padding: 0; }
.asks > li {
  background: var(--tint); border: 1px solid var(--line); border-radius: var(--round); padding: var(--space-4);
  font-size: var(--type-l); line-height: 1.45; -webkit-user-select: all; user-select: all;
}
.actions { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 0.9rem; }
.note {
  border: 1px solid color-mix(in srgb, var(--accent) 35%, transparent); background: var(--tint);
  border-radius: var(--round); padding: 0.9rem 1.1rem;
}
.note > * + * { margin-top: 0.4rem; }
.note.warn { border-color: color-mix(in srgb, var(--warn) 45%, transparent); background: var(--warn-tint); }
.steps { padding-left: 1.4rem; }
.steps > li { padding-left: 0.3rem; }
.steps > li + li { margin-top: 0.9rem; }
.steps .copy { margin-top: 0.4rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.4rem 1.25rem; } dt { color: var(--soft); } dd { min-width: 0; }
.sheet ul { padding-left: 1.2rem; } .sheet ul > li + li { margin-top: 0.35rem; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd + dt { margin-top: 0.6rem; } }`;

const DATA = `
.badge {
  display: inline-block; font-size: var(--type-xs); font-weight: 600; line-height: 1.4; padding: 0.1rem var(--space-2);
  border: 1px solid var(--line); border-radius: 99px; background: var(--sunk); color: var(--soft);
}
.badge.wait { border-style: dashed; border-color: currentColor; color: var(--text); }
.badge.good { border-color: currentColor; background: var(--tint); color: var(--accent); }
.badge.bad { border-color: currentColor; background: var(--warn-tint); color: var(--warn); }
blockquote {
  margin: 0; padding: var(--space-2) var(--space-4); border-left: 4px solid var(--line); background: var(--sunk);
  overflow: clip;
}
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; } details[open] .excerpt { display: none; }
.more { color: var(--accent); text-decoration: underline; text-underline-offset: 0.15em; }
.scroll { overflow-x: auto; background: var(--sheet); border: 1px solid var(--line); border-radius: var(--round); }
table { border-collapse: collapse; width: 100%; font-size: var(--type-s); font-variant-numeric: tabular-nums; }
th, td { padding: var(--space-2) var(--space-3); text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
th { font-weight: 600; } thead th { border-top: 0; color: var(--soft); white-space: nowrap; }
th .badge { white-space: nowrap; }
td { min-width: 6rem; max-width: 24rem; overflow: clip; }
td i { color: var(--soft); border: 1px dashed; border-radius: 4px; padding-inline: 0.3em; font-size: var(--type-xs); }
tr.plus { background: var(--tint); } tr.minus { background: var(--warn-tint); }
del, ins {
  display: block; text-decoration: none; padding: 0.1rem var(--space-2); border-left: 4px solid var(--accent);
  background: var(--tint);
}
del { border-left: 4px double var(--warn); background: var(--warn-tint); }
del + ins { margin-top: var(--space-1); }
del small, ins small { display: block; font-size: var(--type-xs); color: var(--soft); }
mark { background: none; color: inherit; font-weight: 700; text-decoration: underline 2px; text-underline-offset: 0.15em; }
@media (max-width: 48rem) {
  table, tbody, tr, tbody th, td { display: block; max-width: none; } thead { display: none; }
  td { border: 0; padding-block: var(--space-1); } td:last-child { padding-bottom: var(--space-3); }
  td::before { content: attr(data-label); display: block; font-size: var(--type-xs); color: var(--soft); }
  tr:first-child th { border-top: 0; }
}`;

const FORMS = `
form { display: flex; flex-wrap: wrap; gap: var(--space-3); }
button, .button {
  display: inline-block; font: inherit; font-weight: 600; line-height: 1.4; padding: 0.6rem 1.1rem;
  border: 1px solid var(--line); border-radius: var(--round-s); background: var(--sheet); color: inherit;
  cursor: pointer; text-align: left; text-decoration: none; max-width: 100%; overflow-wrap: anywhere;
}
button:hover, .button:hover { border-color: var(--accent); }
button.primary, .button.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-text); }
button.primary:hover, .button.primary:hover { filter: brightness(1.08); }
button.danger { background: var(--danger); border-color: var(--danger); color: var(--danger-text); }
button.small, .button.small { font-size: var(--type-s); padding: 0.4rem 0.8rem; }
button.plain {
  border: 0; padding: 0; background: none; font-weight: 400; color: var(--accent); text-decoration: underline;
  text-underline-offset: 0.15em;
}
button.choice { flex: 1 1 100%; font-weight: 400; }
button.choice strong { display: block; }
button.choice span { color: var(--soft); font-size: var(--type-s); }
label { display: block; font-weight: 600; }
input:not([type="hidden"]) {
  font: inherit; padding: 0.55rem 0.7rem; border: 1px solid var(--line); border-radius: var(--round-s);
  background: var(--sheet); color: inherit; max-width: 100%;
}
.ends button { color: var(--warn); } .ends button:hover { border-color: var(--warn); }
@media (forced-colors: active) { button, .button, .sheet, .card, .rows { border: 1px solid; } }`;

/** The style sheet, without indentation. */
export const STYLE = [COLOURS, TEXT, FRAME, PARTS, DATA, FORMS].join("").replaceAll(/\n\s*/g, "\n").trim();
