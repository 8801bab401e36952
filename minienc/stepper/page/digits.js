// Numbers as text.

/** The shortest text that is this float32, or this float64. @param {number} x @param {string} dtype */
export function exact(x, dtype) {
  if (dtype === "bool") return x ? "True" : "False";
  let shortest = x;
  for (let n = 1; n < 10 && dtype === "float32"; n++) {
    shortest = Number(x.toPrecision(n));
    if (Math.fround(shortest) === x) break;
  }
  const size = Math.abs(shortest),
    small = size > 0 && size < 1e-4;
  return plainDigits(small ? shortest.toExponential() : String(shortest));
}

/** As many digits as one reads. @param {number} x @param {number} n */
export function short(x, n = 3) {
  if (Number.isInteger(x) && Math.abs(x) < 1e5) return plainDigits(String(x));
  if (!Number.isFinite(x)) return exact(x, "float64");
  const size = Math.abs(x);
  if (size < 1e-3 || size >= 1e5) return plainDigits(x.toExponential(Math.max(n - 2, 0)));
  return plainDigits(String(Number(x.toPrecision(n))));
}

/** @param {string} text */
const plainDigits = (text) =>
  text.replace("e+", "e").replace(/-/g, "\u2212").replace("Infinity", "inf").replace("NaN", "nan");

/** What somebody typed, as a number; NaN for what is none. @param {string} text */
export function typed(text) {
  const clean = text
    .trim()
    .replace(/\u2212/g, "-")
    .replace(",", ".");
  const [over, under, ...more] = clean.split("/");
  if (clean === "" || more.length) return NaN;
  return under === undefined ? Number(over) : under.trim() === "" ? NaN : Number(over) / Number(under);
}

/** Half of the last digit that was typed. @param {string} text */
export function looseness(text) {
  const [mantissa, exponent] = text.trim().toLowerCase().split("e");
  const decimals = (mantissa.split(/[.,]/)[1] ?? "").length;
  return 0.5 * 10 ** (Number(exponent ?? 0) - decimals);
}
