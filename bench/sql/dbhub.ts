// Runs dbhub, the server that Gatehouse is compared with: it passes SQL to an SQLite file, here in its read-only mode.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DATA_SQL } from "./data.ts";

const ENTRY = path.join(import.meta.dirname, "../node_modules/@bytebase/dbhub/dist/index.js");

/** Creates the database file for dbhub. */
export function makeFile(file: string): void {
  const database = new DatabaseSync(file);
  for (const sql of DATA_SQL) database.exec(sql);
  database.close();
}

/** Starts dbhub as a process, and resolves when it listens. */
export async function startDbhub(file: string, port: number): Promise<ChildProcess> {
  const config = `${file}.toml`;
  const tool = ["[[tools]]", 'name = "execute_sql"', 'source = "large"', "readonly = true"];
  writeFileSync(config, ["[[sources]]", 'id = "large"', `dsn = "sqlite://${file}"`, "", ...tool, ""].join("\n"));
  const args = ["--transport", "http", "--host", "127.0.0.1", "--port", String(port), "--config", config];
  const child = spawn(process.execPath, [ENTRY, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  await new Promise<void>((resolve, reject) => {
    let output = "";
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes("listening on")) resolve();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.once("close", () => reject(new Error(`dbhub ended:\n${output}`)));
  });
  return child;
}
