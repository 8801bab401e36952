// What stands before the page for a moment: the help, and the link.

import { h } from "./dom.js";
import { isInPart } from "./record.js";
import { difference } from "./whatif.js";

/** @param {string} address @param {string[]} parts what can be hidden */
export function linkDialog(address, parts) {
  const box = h("input", {
    readonly: true,
    "aria-label": "link to this step",
    value: address,
  });
  openDialog(
    "Link to this step",
    h("p", null, box),
    h("p", { class: "small" }, `hide=${parts.join(",")} leaves parts out.`),
  );
  box.select();
  navigator.clipboard?.writeText(box.value).catch(() => undefined);
}

/** @param {import("./record.js").Run} run */
export function helpDialog(run) {
  const count = (/** @type {"differing"|"numbers"} */ what) => run.steps.reduce((sum, s) => sum + s.ran[what], 0);
  const keys = [
    ["\u2190 \u2192", "line before, line after"],
    ["shift \u2190 \u2192", "function before, after"],
    ["home, end", "first, last"],
    ["enter", "into an array: arrow keys choose an element"],
    ["esc", "out again"],
    ["p", "predict, or not"],
    ["w", "where the chosen element comes from"],
    ["?", "this help"],
  ];
  openDialog(
    "Help",
    h("dl", null, ...keys.flatMap(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])),
    h(
      "p",
      null,
      "F forward, L loss, B backward, U update. In arrays red is above zero, blue below, and the colours are of each array by itself.",
    ),
    h(
      "p",
      null,
      `The lines were run again on what each call was given: ${count("differing")} of ${count("numbers")} numbers that calls returned differ from ${run.header.kernel ? "the compiled kernel's" : "the run's"}. ${isInPart(run) ? `The page leaves numbers out, for the model is large: ${run.header.about.shown}.` : `The page's own computation, with which What if begins, is in float64 and differs from them by ${difference(run).toExponential(1)} of an array's largest number at most: sums in another order.`}`,
    ),
    h(
      "p",
      null,
      "What if computes numbers again, not decisions of Python: a branch that was taken stays taken, and what was drawn stays drawn.",
    ),
  );
}

/** @param {string} title @param {...any} kids */
function openDialog(title, ...kids) {
  const close = h("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = h(
    "dialog",
    { "aria-label": title, onclose: () => dialog.remove() },
    h("h2", null, title),
    ...kids,
    close,
  );
  document.body.append(dialog);
  dialog.showModal();
}
