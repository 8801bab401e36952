// Numbers as text, and texts as numbers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { exact, looseness, short, typed } from "../../minienc/stepper/page/digits.js";

test("float32 is written as NumPy writes it", () => {
  const numbers = JSON.parse(readFileSync(join(process.env.MINIENC_CASES, "digits.json"), "utf8"));
  let differing = 0;
  for (const [text, x] of numbers) {
    const mine = exact(Math.fround(x), "float32").replace(/\u2212/g, "-");
    assert.equal(Math.fround(Number(mine)), Math.fround(x));
    // where two texts are as short and as near, NumPy takes the even one
    const off = [Number(mine), Number(text)].map((y) => Math.abs(y - Math.fround(x)));
    assert.ok(Number(mine) === Number(text) || off[0] === off[1], `${mine} for ${text}`);
    differing += Number(mine) !== Number(text);
  }
  assert.ok(differing < numbers.length / 100);
  console.log(`${numbers.length} numbers`);
});

test("what one reads", () => {
  const said = [
    [0, "0"],
    [0.1234567, "0.123"],
    [-12.3456, "\u221212.3"],
    [12345, "12345"],
    [123456.7, "1.2e5"],
    [0.00012345, "1.2e\u22124"],
  ];
  for (const [x, text] of said) assert.equal(short(x), text);
  for (const [x, text] of [
    [NaN, "nan"],
    [-Infinity, "\u2212inf"],
    [true, "True"],
  ])
    assert.equal(exact(x, x === true ? "bool" : "float64"), text);
});

test("what one types", () => {
  const said = [
    ["0.5", 0.5],
    ["\u22120,5", -0.5],
    ["1/4", 0.25],
    ["3e-2", 0.03],
    ["", NaN],
    ["x", NaN],
    ["1/", NaN],
    ["1/2/3", NaN],
  ];
  for (const [text, x] of said) assert.ok(Object.is(typed(text), x), text);
  for (const [text, x] of [
    ["0.25", 0.005],
    ["3", 0.5],
    ["1.2e-3", 5e-5],
  ])
    assert.ok(Math.abs(looseness(text) - x) < 1e-12, text);
});
