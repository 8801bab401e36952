// Wrong answers are told what they are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { diagnose } from "../../minienc/stepper/page/predict.js";
import { sentence, walkOf } from "../../minienc/stepper/page/walk.js";
import { carried } from "./cases.mjs";

async function asked(name, line, k) {
  const walk = walkOf(await carried(name)),
    i = walk.stops.findIndex((_, n) => line.test(sentence(walk, n)));
  const stop = walk.stops[i],
    { value, name: called } = stop.results[0],
    { data } = walk.run.values[value];
  return {
    x: data[k],
    data,
    run: walk.run,
    stop,
    say: (guess) => diagnose(walk, stop, value, called, k, typeof guess === "number" ? guess.toPrecision(8) : guess),
  };
}

test("right, in as many digits as were typed", async () => {
  const { x, say } = await asked("small", /backward, dense_2, line \(1\): dW/, 7);
  assert.ok(say(x).right && say(x.toPrecision(3)).right && !say(x * 1.03).right);
  assert.match(say("x").said, /no number/);
  assert.match(say("").said, /no number/);
});

test("a factor with a name", async () => {
  const { x, say } = await asked("small", /backward, dense_2, line \(1\): dW/, 7);
  assert.match(say(6 * x).said, /^6 times too large: 6 is the batch/);
  assert.match(say(x / 6).said, /^6 times too small: 6 is the batch/);
  assert.match(say(2 * x).said, /^2 times too large/);
  assert.match(say(-x).said, /the sign is not/);
  assert.match(say(-6 * x).said, /6 times too large, and the sign is not right/);
});

test("another element", async () => {
  const { data, say } = await asked("small", /backward, dense_2, line \(1\): dW/, 7);
  assert.match(say(data[11]).said, /^That is dW\[2, 1\]/); // of dW[1, 2]: its indices exchanged
});

test("a missing slope", async () => {
  const first = await asked("wrong_affine", /backward, affine_backward, line \(2\)/, 1);
  const dy = first.run.values[first.run.frames[first.run.visits[first.stop.visit].frame].arguments.dy.v];
  assert.match(first.say(dy.data[1]).said, /^The slope is missing: that is dy/);
  const { run, say } = await asked("wrong_affine", /backward, affine_backward, line \(1\): dW/, 3);
  const x = Object.values(run.steps[0].arguments)[0].v,
    sum = [0, 1, 2].reduce((s, n) => s + run.values[x].data[4 * n + 1] * dy.data[2 * n + 1], 0);
  assert.match(say(sum).said, /^The slope is missing: that is with dy in the place of dz/);
});

test("a missing term", async () => {
  const { x, run, say } = await asked("small", /forward, dense_1, line \(1\)/, 4);
  const product = run.values[run.ops.find((op) => op.kind === "matmul").value].data[4];
  assert.ok(product === x || /other term is missing/.test(say(product).said));
  const sum = await asked("small", /backward, dense_2, line \(1\): db/, 2);
  const dz = run.values[run.makers[sum.stop.results[0].value].refs[0]];
  assert.match(sum.say(sum.x - dz.data[2]).said, /^Term 0 is missing/);
  assert.match(sum.say(dz.data[7]).said, /one term alone|That is db/);
});

test("zero", async () => {
  const { data } = await asked("small", /forward, dense_1, line \(2\)/, 0),
    k = data.indexOf(0);
  const { say } = await asked("small", /forward, dense_1, line \(2\)/, k);
  assert.match(say(0.3).said, /^It is zero/);
  assert.ok(say("0").right);
  const { say: other } = await asked(
    "small",
    /forward, dense_1, line \(2\)/,
    data.findIndex((x) => x > 0),
  );
  assert.match(other("0").said, /^It is not zero/);
});
