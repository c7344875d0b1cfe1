// Sorts and filters the main table. Without it the table is whole, in the order of the comparison.
(() => {
  const table = document.querySelector("table.main");
  const tools = document.querySelector(".tools");
  if (!table || !tools) return;
  const groups = [...table.tBodies]; // one for each variant: its row, and what is noted of it
  const heads = [...table.tHead.rows[0].cells];
  const filter = tools.querySelector("input");
  const found = tools.querySelector("output");
  let column = -1;
  let direction = 1;

  function read(group) {
    const cell = group.rows[0].cells[column];
    if (!cell || cell.colSpan > 1) return null;
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim();
    return value === "" ? null : Number(value);
  }

  function compare(one, other) {
    const [a, b] = [read(one), read(other)];
    if (a === null || b === null) return (a === null) - (b === null); // what has no value comes last, either way
    return direction * (typeof a === "string" ? a.localeCompare(b) : a - b);
  }

  function order() {
    table.append(...(column < 0 ? groups : [...groups].sort(compare)));
    heads.forEach((head, number) => {
      if (number === column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
  }

  function select() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const group of groups) {
      const text = group.textContent.toLowerCase();
      group.hidden = !words.every((word) => text.includes(word));
      count += !group.hidden;
    }
    found.textContent = `${count} of ${groups.length} variants`;
  }

  heads.forEach((head, number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.setAttribute("aria-label", `Sort by ${head.textContent.trim()}`);
    button.addEventListener("click", () => {
      if (column !== number) [column, direction] = [number, 1];
      else if (direction > 0) direction = -1;
      else column = -1;
      order();
    });
    head.append(button);
  });
  filter.addEventListener("input", select);
  addEventListener("beforeprint", () => table.append(...groups)); // paper has every row, in its place
  addEventListener("afterprint", order);
  tools.hidden = false;
  select();
})();
