// What a page carries, and the way through it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withNumbers } from "../../minienc/stepper/page/numbers.js";
import { isCarried } from "../../minienc/stepper/page/places.js";
import { isInPart, lossAfter, lossOf } from "../../minienc/stepper/page/record.js";
import { sentence, walkOf } from "../../minienc/stepper/page/walk.js";
import { editName, editsOf, editsText, gradientOf, other, twinOf } from "../../minienc/stepper/page/whatif.js";
import { carried, numbers } from "./cases.mjs";

const NAMES = ["small", "tied", "wrong_affine", "attention", "convolution", "in_part"];

for (const name of NAMES) {
  test(`${name}: what is not carried is made again, to the bit`, async () => {
    const run = await carried(name),
      right = numbers(name);
    const again = run.header.values.filter((v) => v[2] < 0).length;
    run.values.forEach((a, v) => {
      assert.deepEqual([a.shape, a.dtype], [right[v].shape, right[v].dtype]);
      a.data.forEach((x, k) => {
        const expected = isCarried(a, k) ? right[v].data[k] : NaN;
        assert.ok(x === expected || Object.is(x, expected), `value ${v}: ${x} for ${expected}`);
      });
    });
    assert.ok(again > run.values.length / (isInPart(run) ? 20 : 4));
    console.log(`${name}: ${again} of ${run.values.length} values are made in the page`);
  });

  test(`${name}: a line with numbers gives its number`, async () => {
    const run = await carried(name),
      walk = walkOf(run);
    let counted = 0;
    for (const stop of walk.stops) {
      for (const { value } of stop.results) {
        const a = run.values[value],
          size = Math.max(1e-3, ...a.data.map((x) => Math.abs(x) || 0)),
          there = [...a.data.keys()].filter((k) => isCarried(a, k));
        for (let i = 0; i < there.length; i += Math.ceil(there.length / 5)) {
          const k = there[i];
          const tokens = withNumbers(run, stop.inside, value, k);
          const text = tokens.map((t) => t.text ?? (t.x < 0 ? `(${t.x})` : String(t.x))).join("");
          const formula = text
            .replace(/ \+ \d+ more terms, together /g, " + ")
            .replace(/\b\d+ more terms, together /g, "")
            .replace(/\u00b7/g, "*")
            .replace(/\u2212/g, "-")
            .replace(/\u221a/g, "Math.sqrt")
            .replace(/\b(max|min|abs|exp|tanh|log1p|log)\(/g, "Math.$1(")
            .replace(/\[/g, "Number(")
            .replace(/\]/g, ")")
            .replace(/ \u2265 /g, ">=")
            .replace(/ \^ /g, "**")
            .replace(/\u2026/g, "-Infinity")
            .replace(/ or /g, "||")
            .replace(/ \u2260 /g, "!==")
            .replace(/ = /g, "===");
          if (/[a-z_]{3,}\(/.test(formula.replace(/Math\.\w+\(/g, "")) || formula.includes("Infinity")) continue;
          const x = Function(`return ${formula.replace(/(^|[-+*/(,] ?)-(Math|\()/g, "$1-1*$2")}`)();
          assert.ok(
            Math.abs(x - a.data[k]) <= 2e-6 * size,
            `${sentence(walk, walk.stops.indexOf(stop))}: ${text} is ${x}, expected ${a.data[k]}`,
          );
          counted++;
        }
      }
    }
    assert.ok(counted > walk.stops.length);
  });
}

test("a line whose result another function made shows what that one was given", async () => {
  const run = await carried("lstm"),
    walk = walkOf(run);
  const i = walk.stops.findIndex((_, n) => / o = sigmoid\(z\[/.test(sentence(walk, n))),
    [{ value }] = walk.stops[i].results;
  const said = withNumbers(run, walk.stops[i].inside, value, 0);
  assert.ok(said.some((t) => t.value !== undefined && t.value !== value && run.values[t.value].shape[1] === 16));
});

test("sentences", async () => {
  const walk = walkOf(await carried("small")),
    said = walk.stops.map((_, i) => sentence(walk, i));
  assert.match(said[0], /^Step 1 of \d+: forward, dense_1, line \(1\): z = x W if b is None/);
  assert.ok(said.some((s) => /backward, dense_2, line \(1\): dW = x\u2032 dz$/.test(s)));
  assert.ok(said.some((s) => /update, adam_step: w -= /.test(s)));
  assert.ok(!said.some((s) => /check_shapes|xp = |try:/.test(s)));
  assert.equal(new Set(said).size, said.length);
});

for (const name of ["small", "tied", "attention", "batch_normalization", "dropout"]) {
  test(`${name}: what if agrees with the gradient`, async () => {
    const run = await carried(name),
      base = twinOf(run),
      before = lossOf(run, (v) => base[v]);
    let looked = 0;
    for (const { value, gradient } of run.header.parameters) {
      if (value === undefined || gradient === undefined) continue;
      for (let k = 0; k < base[value].data.length; k += Math.ceil(base[value].data.length / 4)) {
        const h = 1e-6,
          at = (x) => lossOf(run, (v) => other(run, [{ value, k, x: base[value].data[k] + x }]).run.values[v]);
        const slope = (at(h) - at(-h)) / (2 * h);
        assert.ok(Math.abs(slope - gradientOf(run, value, k)) < 1e-8, `${slope} for ${gradientOf(run, value, k)}`);
        looked++;
      }
    }
    assert.ok(looked >= 8);
    assert.ok(Math.abs(before - run.header.loss.before) < 1e-6);
    assert.ok(Math.abs(lossAfter(run, base, (v) => base[v]) - run.header.loss.after) < 1e-6);
  });
}

test("what is left out is said by what is missing to the sum", async () => {
  const run = await carried("in_part"),
    walk = walkOf(run);
  const stop = walk.stops.find(
    (s) => run.steps[s.step].path === "dense_1" && run.makers[s.results[0].value].kind === "add",
  );
  const text = withNumbers(run, stop.inside, stop.results[0].value, 2).map((t) => t.text ?? t.x);
  // three of the four terms of 63 that the page has, what the others are together, and the bias
  assert.equal(text.filter((t) => t === " \u00b7 ").length, 3);
  assert.ok(text.includes(" + 60 more terms, together "));
  const all = run.values.flatMap((a) => (a.lanes ? [a] : []));
  assert.ok(all.length > 10 && all.every((a) => a.norm >= 0 && a.data.some(Number.isNaN)));
});

test("edits in a link", async () => {
  const run = await carried("small"),
    edits = editsOf(run, "dense_1.W:0,1=0.5;x:2,3=-1e-3;dense_1.W:9,9=1;no:1=2;x:0,0=a");
  assert.deepEqual(
    edits.map((e) => [editName(run, e.value), e.k, e.x]),
    [
      ["dense_1.W", 1, 0.5],
      ["x", 13, -1e-3],
    ],
  );
  assert.equal(editsText(run, edits), "dense_1.W:0,1=0.5;x:2,3=-0.001");
  const names = run.values.map((_, v) => editName(run, v)).filter(Boolean);
  assert.equal(new Set(names).size, names.length);
});
