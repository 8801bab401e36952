// The exported cases, opened as the page opens them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openRun, unpack } from "../../minienc/stepper/page/record.js";

const folder = process.env.MINIENC_CASES;

export function cases() {
  const bytes = readFileSync(join(folder, "cases.bin"));
  const header = { parts: [], formulas: [], sources: [], frames: [], visits: [], steps: [], parameters: [] };
  return JSON.parse(readFileSync(join(folder, "cases.json"), "utf8")).map(({ name, values, ops, from, to }) => {
    const numbers = bytes.buffer.slice(bytes.byteOffset + from, bytes.byteOffset + to);
    return { name, run: openRun({ ...header, values, ops }, numbers) };
  });
}

/** A record, as the page unpacks it. */
export const carried = (name) => unpack(readFileSync(join(folder, `${name}.txt`), "utf8"));

/** All of its values, as Python has them. */
export function numbers(name) {
  const bytes = readFileSync(join(folder, `${name}.bin`));
  const values = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
  const header = {
    values,
    parts: [],
    ops: [],
    formulas: [],
    sources: [],
    frames: [],
    visits: [],
    steps: [],
    parameters: [],
  };
  return openRun(header, bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)).values;
}
