// The table of runs: find, sort, choose.
const table = document.getElementById("runs");
if (table) {
  const rows = [...table.tBodies[0].rows], find = document.getElementById("find"), compare = document.getElementById("compare");
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.classList.toggle("none", !words.every((word) => row.textContent.toLowerCase().includes(word)));
  });
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  table.addEventListener("change", () => { compare.disabled = table.querySelectorAll("input:checked").length < 2; });
  const value = (row, k) => row.cells[k].dataset.value ?? row.cells[k].textContent.trim();
  [...table.tHead.rows[0].cells].forEach((head, k) => head.querySelector("button")?.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((a, b) => (up ? 1 : -1) * value(a, k).localeCompare(value(b, k), "en", { numeric: true }));
    table.tBodies[0].append(...rows);
  }));
}
// While runs wait, look again; not while somebody is choosing.
if (document.getElementById("waiting")) {
  setInterval(() => { if (!document.querySelector("#runs input:checked") && !document.getElementById("find")?.value && !document.querySelector("#waiting :focus")) location.reload(); }, 5000);
}
