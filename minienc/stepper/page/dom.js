// Small helpers: elements, and formulas.

/** An element. Texts are texts, never markup. @param {string} tag @param {Object<string, any>|null} [props]
 * @param {...any} kids @returns {any} */
export function h(tag, props, ...kids) {
  const el = document.createElement(tag);
  for (const [key, x] of Object.entries(props ?? {})) {
    if (x === null || x === undefined || x === false) continue;
    if (typeof x === "function") el.addEventListener(key.slice(2), x);
    else el.setAttribute(key, x === true ? "" : String(x));
  }
  el.append(...kids.flat(3).filter((k) => k !== null && k !== undefined && k !== false));
  return el;
}

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** A formula of formula.py as elements: nothing but MathML, and of its attributes one.
 * @param {string} text */
export function mathOf(text) {
  const parsed = new DOMParser().parseFromString(text, "application/xml").documentElement;
  const copied = (/** @type {any} */ node) => {
    if (node.nodeType === 3) return document.createTextNode(node.data);
    const tag = node.localName;
    if (!/^m[a-z]+$/.test(tag)) return document.createTextNode(node.textContent);
    const el = document.createElementNS("http://www.w3.org/1998/Math/MathML", tag);
    if (tag === "math") el.setAttribute("display", "block");
    el.append(...[...node.childNodes].map(copied));
    return el;
  };
  return copied(parsed);
}

/** A part of the page with a heading. @param {string} name @param {string} title @param {...any} kids */
export function panel(name, title, ...kids) {
  return h(
    "section",
    { class: `panel ${name}`, "aria-label": title, tabindex: name === "formula" ? 0 : null },
    h("h2", null, title),
    ...kids,
  );
}

/** What draws again puts the focus back to where it was. @param {() => void} draw */
export function keepingFocus(draw) {
  const active = /** @type {any} */ (document.activeElement),
    key = active?.dataset?.key;
  const value = active?.value,
    caret = key && active.tagName === "INPUT" ? active.selectionStart : null;
  draw();
  const again = key && /** @type {any} */ (document.querySelector(`[data-key="${CSS.escape(key)}"]`));
  if (!again || again === document.activeElement) return;
  again.focus({ preventScroll: true });
  if (caret !== null && again.tagName === "INPUT") {
    again.value = value;
    again.setSelectionRange(caret, caret);
  }
}
