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
});
