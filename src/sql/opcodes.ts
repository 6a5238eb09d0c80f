// Distinguishes instructions that are refused on purpose from instructions that this version does not know. An unknown one means that the
// platform runs a newer SQLite, and that queries fail until its new instruction has been reviewed.
import type { Instruction } from "./program-check.ts";
import type { DefenceCode, Refusal } from "./defence-refusal.ts";

/** Instructions up to SQLite 3.53 that no query may contain, or only for its own temporary tables. */
const KNOWN_FORBIDDEN_OPCODES = new Set(
  (
    "Transaction OpenRead ReopenIdx VOpen Insert Delete IdxInsert IdxDelete NewRowid SorterInsert Clear OpenWrite OpenTempTable " +
    "Savepoint AutoCommit Vacuum IncrVacuum Checkpoint JournalMode ReadCookie SetCookie CreateBtree Destroy ParseSchema LoadAnalysis " +
    "DropTable DropIndex DropTrigger IntegrityCk SqlExec Program Param FkCounter FkIfZero FkCheck MemMax ResetCount " +
    "VBegin VCreate VDestroy VCheck VRename VUpdate Pagecount MaxPgcnt CursorLock CursorUnlock TableLock CursorHint Expire"
  ).split(" "),
);

/** Stands for a program without instructions, which means that the platform has changed the output of EXPLAIN. */
export const EMPTY_PROGRAM: Instruction = { opcode: "none", p1: 0, p2: 0, p3: 0 };

/** Builds the refusal of a program that contains this instruction. */
export function buildOpcodeRefusal({ opcode }: Instruction): Refusal {
  const code: DefenceCode = KNOWN_FORBIDDEN_OPCODES.has(opcode) ? "forbidden_opcode" : "unknown_opcode";
  return { code, detail: opcode };
}
