// A table that sorts and filters. Its columns have: name; value(row), by which it sorts; text(row), what is shown, else the value; cell(row), a node for that text.
const NARROW = matchMedia("(max-width: 56rem)");
const MORE = 100;

function compared(a, b, up) {
  if (a === b) return 0;
  if (a === null || a === undefined || a === "") return 1;
  if (b === null || b === undefined || b === "") return -1;
  return (a < b ? -1 : 1) * (up ? 1 : -1);
}
function shownText(column, row) {
  const text = column.text ? column.text(row) : column.value(row);
  return text === null || text === undefined ? "" : typeof text === "number" ? number(text) : String(text);
}

class Table {
  constructor(id, spec, kept) {
    this.id = id;
    this.spec = spec;
    this.total = kept.total;
    const rows = kept.worst ? kept.worst.map((i) => kept.rows[i]) : kept.rows;
    this.entries = rows.map((row) => {
      const texts = spec.columns.map((column) => shownText(column, row));
      return { row, texts, text: plain(texts.join(" ")).toLowerCase(), duration: spec.duration ? spec.duration(row) ?? null : null };
    });
    this.order = null;
    this.most = NARROW.matches ? 10 : 25;
    this.build(document.getElementById(id));
    this.draw();
  }

  build(section) {
    const { id, spec } = this;
    if (!this.entries.length) {
      section.append(h("p", { class: "none" }, spec.none));
      return;
    }
    this.search = h("input", { type: "search", id: id + "-filter", placeholder: spec.hint, autocomplete: "off", spellcheck: "false", "aria-describedby": id + "-note", input: () => this.draw() });
    this.note = h("span", { id: id + "-note", class: "note", role: "status" });
    this.again = button("Worst first", () => this.sort(null), { class: "again", hidden: true });
    this.head = h("tr", { role: "row" }, spec.columns.map((column, i) => h("th", { scope: "col", role: "columnheader", class: column.numeric ? "number" : "" }, button(column.name, () => this.sort(i)))));
    this.body = h("tbody", { role: "rowgroup", click: (event) => this.clicked(event) });
    this.more = h("p", { class: "more" });
    section.append(
      h("div", { class: "tools" }, h("label", { for: id + "-filter" }, "Filter"), this.search, this.note, this.again),
      h("div", { class: "scroll" }, h("table", { role: "table", "aria-labelledby": id + "-title" }, h("thead", { role: "rowgroup" }, this.head), this.body)),
      this.more,
    );
  }

  // the first click shows the highest numbers and the first words; the second turns it round
  sort(i) {
    const up = i !== null && !this.spec.columns[i].numeric;
    this.order = i === null ? null : { i, up: this.order && this.order.i === i ? !this.order.up : up };
    [...this.head.children].forEach((th, at) => {
      if (at === i) th.setAttribute("aria-sort", this.order.up ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    });
    if (i === null) this.head.querySelector("button").focus();
    this.again.hidden = i === null;
    this.draw();
  }

  draw() {
    if (!this.entries.length) return;
    const { columns, fields = {}, duration: hasDuration } = this.spec;
    const found = filtered(this.entries, this.search.value, fields, Boolean(hasDuration));
    this.sorted = found;
    if (this.order) {
      const { i, up } = this.order;
      const key = new Map(found.map((entry) => [entry, columns[i].value(entry.row)]));
      this.sorted = [...found].sort((a, b) => compared(key.get(a), key.get(b), up));
    }
    const shown = this.sorted.slice(0, this.most);
    this.body.replaceChildren(...shown.map((entry) => this.line(entry)));
    this.note.textContent = this.said(shown.length, found.length);
    this.offerMore(found.length - shown.length);
  }

  said(shown, found) {
    const all = this.entries.length;
    const kept = this.total > all ? `; the page holds the worst ${number(all)} of ${number(this.total)}` : "";
    const matched = found < all ? `${number(found)} of ${number(all)} rows match` : `${count(all, "row")}`;
    return (shown < found ? `${matched}, ${number(shown)} shown` : matched) + kept;
  }

  offerMore(left) {
    this.more.replaceChildren();
    const show = (n) => {
      const at = this.body.children.length;
      this.most += n;
      this.draw();
      this.body.children[at]?.querySelector("button")?.focus();
    };
    if (left > MORE) this.more.append(button(`Show ${number(MORE)} more`, () => show(MORE)), " ");
    if (left > 0) this.more.append(button(`Show all ${number(this.sorted.length)}`, () => show(left), { class: "all" }));
  }

  line(entry) {
    const { columns, open } = this.spec;
    const tr = h("tr", { role: "row", class: open && open(entry.row) ? "opens" : "" });
    tr.entry = entry;
    columns.forEach((column, i) => {
      const text = entry.texts[i];
      const made = column.cell && text !== "" ? column.cell(entry.row, text) : text;
      const inside = Array.isArray(made) ? h("div", {}, made) : made;
      const cell = h("td", { role: "cell", "data-label": column.name, class: (column.numeric ? "number " : "") + (column.className || "") + (text === "" ? " blank" : "") });
      if (i === 0 && tr.className) cell.append(button(inside, open(entry.row), { class: "open" }));
      else if (column.tone && text !== "") cell.append(h("span", { class: column.tone(entry.row) }, inside));
      else fill(cell, {}, [inside]);
      tr.append(cell);
    });
    return tr;
  }

  clicked(event) {
    const tr = event.target.closest("tr");
    if (!tr || event.target.closest("button, a") || String(getSelection())) return;
    tr.querySelector("button.open")?.click();
  }
}
