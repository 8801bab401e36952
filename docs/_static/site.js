// What scrolls can be reached by the keyboard: code and tables that are wider than the page.
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("div.highlight > pre, .pst-scrollable-table-container")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
  // the arrows that open a room's pages: say what they open
  for (const summary of document.querySelectorAll("nav summary:has(> .toctree-toggle)")) {
    const link = summary.closest("li").querySelector("a");
    summary.setAttribute("aria-label", `Pages of ${link.textContent.trim()}`);
  }
  for (const details of document.querySelectorAll(".bd-article details")) {
    if (details.querySelector("summary").textContent.trim() === "Answer") keepBack(details);
  }
});

// What a program printed or drew right behind a question is folded, too, until the answer is opened:
// nobody predicts what stands below in plain sight. Without JavaScript it is there as ever.
const PROGRAM = "div[class*='highlight-Python']";
const RESULT = ".sphx-glr-script-out, .sphx-glr-single-img, .sphx-glr-horizontal";
function keepBack(answer) {
  let folded = null;
  for (let next, box = answer.nextElementSibling; box?.matches(`${PROGRAM}, ${RESULT}`); box = next) {
    next = box.nextElementSibling;
    if (box.matches(PROGRAM)) {
      folded = null;
      continue;
    }
    if (folded === null) {
      folded = document.createElement("details");
      folded.className = "result";
      folded.append(document.createElement("summary"));
      folded.firstChild.textContent = "What comes out";
      const follow = folded;
      answer.addEventListener("toggle", () => answer.open && (follow.open = true));
      box.before(folded);
    }
    folded.append(box);
  }
}
