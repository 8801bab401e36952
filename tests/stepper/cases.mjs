// The exported cases, opened as the page opens them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openRun } from "../../minienc/stepper/page/record.js";

const folder = process.env.MINIENC_CASES;

export function cases() {
  const bytes = readFileSync(join(folder, "cases.bin"));
  const header = { formulas: [], sources: [], frames: [], visits: [], steps: [], parameters: [] };
  return JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")).map(({ name, values, ops, from, to }) => {
    const numbers = bytes.buffer.slice(bytes.byteOffset + from, bytes.byteOffset + to);
    return { name, run: openRun({ ...header, values, ops }, numbers) };
  });
}
