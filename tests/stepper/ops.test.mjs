// Every operation of every case gives what NumPy gave.
import assert from "node:assert/strict";
import { test } from "node:test";
import { asArr, compute, isKnown } from "../../minienc/stepper/page/ops.js";
import { ELLIPSIS, locate } from "../../minienc/stepper/page/places.js";
import { again, fill, twin } from "../../minienc/stepper/page/record.js";
import { cases } from "./cases.mjs";

const all = cases();

/** The largest difference, as a part of the array's largest number. */
function difference(mine, right) {
  assert.deepEqual(mine.shape, right.shape);
  const finite = right.data.filter(Number.isFinite).map(Math.abs);
  const size = Math.max(
    1e-300,
    finite.reduce((a, b) => Math.max(a, b), 0),
  );
  let worst = 0;
  right.data.forEach((x, k) => {
    if (Number.isFinite(x)) worst = Math.max(worst, Math.abs(mine.data[k] - x) / size);
    else assert.ok(Object.is(mine.data[k], x), `${mine.data[k]} for ${x}`);
  });
  return worst;
}

test("each operation, on the numbers that it had", () => {
  let worst = 0,
    numbers = 0,
    same = 0;
  const kinds = new Set();
  for (const { name, run } of all) {
    for (const op of run.ops) {
      if (op.kind === "constant") continue;
      assert.ok(isKnown(op.kind), op.kind);
      const right = run.values[op.value],
        value = (v) => run.values[v];
      const mine = compute(op.kind, fill(op.args, value), fill(op.options, value), right.dtype);
      const d = difference(mine, right);
      assert.ok(d <= 1e-12, `${name}: ${op.kind} is off by ${d}`);
      worst = Math.max(worst, d);
      kinds.add(op.kind);
      numbers += right.data.length;
      same += right.data.filter((x, k) => Object.is(x, mine.data[k]) || x === mine.data[k]).length;
    }
  }
  assert.ok(all.length > 300 && kinds.size >= 50);
  console.log(
    `${all.length} cases, ${kinds.size} kinds, ${numbers} numbers, ${same} the same bits, worst ${worst.toExponential(1)}`,
  );
});

test("each case as a whole", () => {
  for (const { name, run } of all) {
    const values = twin(run);
    // a sum that is 0 up to rounding is compared with what it was made of: with the case's numbers
    const size = Math.max(
      ...values.map((a) => a.data.filter(Number.isFinite).reduce((m, x) => Math.max(m, Math.abs(x)), 0)),
    );
    values.forEach((a, v) => {
      a.data.forEach((x, k) => {
        const right = run.values[v].data[k];
        const near = run.values[v].dtype === "float32" ? 1e-6 : 1e-11; // the twin has more digits
        assert.ok(
          Object.is(x, right) || Math.abs(x - right) <= near * size,
          `${name}: value ${v} is ${x}, expected ${right}`,
        );
      });
    });
  }
});

test("again is what the twin makes of other numbers", () => {
  for (const { run } of all.filter((_, i) => i % 9 === 0)) {
    const base = twin(run),
      first = base.findIndex((a, v) => !run.makers[v] && a.dtype === "float64" && a.data.length);
    if (first < 0) continue;
    const moved = { ...base[first], data: base[first].data.map((x) => x + 0.125) };
    const now = again(run, base, new Map([[first, moved]]));
    const whole = twin({ ...run, values: run.values.with(first, moved) });
    whole.forEach((a, v) => assert.deepEqual(now.get(v) ?? base[v], a));
  }
});

test("what the page does not know is said", () => {
  assert.ok(!isKnown("einsum"));
  assert.throws(() => compute("einsum", [asArr(1)], {}), /does not know NumPy's einsum/);
  assert.throws(() => compute("add", [asArr([1, 2]), asArr([1, 2, 3])], {}), /shapes 2 and 3 do not fit/);
});

test("float32 is rounded as NumPy rounds it", () => {
  const third = compute("divide", [asArr([1]), 3], {}, "float32");
  assert.equal(third.data[0], Math.fround(1 / 3));
  assert.equal(compute("add", [asArr([1]), 1e-9], {}, "float32").data[0], 1);
});

test("indices", () => {
  const at = (shape, index) => [locate(shape, index).shape, [...locate(shape, index).at]];
  const slice = (start, stop, step) => ({ start, stop, step });
  assert.deepEqual(at([3, 4], [1, -1]), [[], [7]]);
  assert.deepEqual(at([3, 4], slice(null, null, -2)), [
    [2, 4],
    [8, 9, 10, 11, 0, 1, 2, 3],
  ]);
  assert.deepEqual(at([3, 4], [ELLIPSIS, null, 2]), [
    [3, 1],
    [2, 6, 10],
  ]);
  assert.deepEqual(at([3, 4], [asArr([2, 0]), asArr([1, 3])]), [[2], [9, 3]]);
  assert.deepEqual(at([2, 3, 2], [asArr([1, 0]), slice(0, 2, null), 1]), [
    [2, 2],
    [7, 9, 1, 3],
  ]);
  assert.deepEqual(at([4], [asArr([true, false, false, true])]), [[2], [0, 3]]);
  assert.deepEqual(at([2, 3], [slice(5, null, null)]), [[0, 3], []]);
});
