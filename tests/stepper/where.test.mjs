// Where from and where to, against what happens when a number is moved.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compute } from "../../minienc/stepper/page/ops.js";
import { fill } from "../../minienc/stepper/page/record.js";
import { sources, targets, trace } from "../../minienc/stepper/page/where.js";
import { cases } from "./cases.mjs";

const all = cases();

/** Some operations of each kind, from cases that lie apart. */
function sample() {
  const found = new Map();
  for (const { run } of all) {
    for (const op of run.ops) {
      const size = run.values[op.value].data.length;
      if (op.kind === "constant" || !size || size > 60 || !op.refs.length) continue;
      const list = found.get(op.kind) ?? [];
      found.set(op.kind, list);
      if (list.length < 400) list.push({ run, op });
    }
  }
  return [...found.values()].flatMap((list) => list.filter((_, i) => i % Math.ceil(list.length / 6) === 0));
}

/** Which results change where a number of an operand is moved. */
function changed(run, op, v, k) {
  const right = run.values[op.value],
    moved = { ...run.values[v], data: run.values[v].data.slice() };
  moved.data[k] = run.values[v].dtype === "bool" ? 1 - moved.data[k] : moved.data[k] + 0.37;
  const value = (u) => (u === v ? moved : run.values[u]);
  const before = compute(
    op.kind,
    fill(op.args, (u) => run.values[u]),
    fill(op.options, (u) => run.values[u]),
    right.dtype,
  );
  const now = compute(op.kind, fill(op.args, value), fill(op.options, value), right.dtype);
  return [...now.data.keys()].filter((n) => !Object.is(now.data[n], before.data[n]));
}

const NUMBERS = [
  "getitem",
  "setitem",
  "take_along_axis",
  "add.at",
  "add",
  "matmul",
  "sum",
  "transpose",
  "reshape",
  "concatenate",
  "stack",
  "pad",
  "cumsum",
  "mean",
  "sliding_window_view",
  "repeat",
  "copy",
  "negative",
];

test("what moves a result is one of its sources", () => {
  let looked = 0;
  for (const { run, op } of sample()) {
    const size = run.values[op.value].data.length;
    const from = Array.from({ length: size }, (_, n) => sources(run, op, n));
    for (const v of op.refs) {
      const a = run.values[v];
      if (!a.dtype.startsWith("float")) continue;
      for (let k = 0; k < a.data.length; k += Math.ceil(a.data.length / 7)) {
        const said = from.flatMap((places, n) => (places.some((p) => p.value === v && p.at.includes(k)) ? [n] : []));
        const real = changed(run, op, v, k);
        for (const n of real)
          assert.ok(said.includes(n), `${op.kind}: result ${n} depends on number ${k} of value ${v}`);
        if (NUMBERS.includes(op.kind) && op.refs.length < 3 && !(op.args[0]?.v === op.args[1]?.v)) {
          const zero = op.kind === "matmul" || op.kind === "setitem";
          if (!zero) assert.deepEqual(said, real, op.kind);
        }
        const to = targets(run, v, k)
          .filter((t) => t.op === op)
          .flatMap((t) => t.at);
        assert.deepEqual(
          [...to].sort((x, y) => x - y),
          said,
          `${op.kind}: where to`,
        );
        looked++;
      }
    }
  }
  console.log(`${looked} numbers moved`);
  assert.ok(looked > 500);
});

test("a trace goes through all operations of a line", () => {
  const { run } = all.find(({ name }) => name.startsWith("dense"));
  const product = run.ops.find((op) => op.kind === "matmul");
  const after = run.ops.find((op) => op.kind === "add" && op.refs.includes(product.value));
  const found = trace(run, new Set([product.number, after.number]), after.value, [0]);
  const [x, W] = product.args.map((a) => a.v);
  assert.equal(found.get(x).size, run.values[x].shape[1]);
  assert.deepEqual(
    [...found.get(W)],
    [...run.values[W].data.keys()].filter((k) => k % run.values[W].shape[1] === 0),
  );
});
