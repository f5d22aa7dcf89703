// A table that is brought up to date in place: a row stays its row as long as its key is there, and a cell is touched
// only when its text has changed. So hundreds of rows cost little, and focus, selection and scrolling stay.
//
// A column: {name, get(row) → value, show(value, row) → text, n: right-aligned, cell(td, value, row): draws more than
// text, first: heads the row}.

export class Table {
  constructor(element, columns, { key, sort = null, most = 1000, none = "none" }) {
    this.element = element;
    this.columns = columns;
    this.key = key;
    this.sort = sort; // {column: its index, down: boolean}
    this.most = most;
    this.none = none;
    this.rows = [];
    this.filter = "";
    this.drawn = new Map();
    this.body = element.createTBody();
    this.#head();
    this.foot = element.createTFoot().insertRow().insertCell();
    this.foot.colSpan = columns.length;
    this.foot.className = "none";
  }

  #head() {
    const line = this.element.createTHead().insertRow();
    this.heads = this.columns.map((column, index) => {
      const head = document.createElement("th");
      head.scope = "col";
      if (column.n) head.className = "n";
      const button = document.createElement("button");
      button.textContent = column.name;
      button.onclick = () => {
        this.sort = { column: index, down: this.sort?.column === index ? !this.sort.down : Boolean(column.n) };
        this.draw();
      };
      head.append(button);
      line.append(head);
      return head;
    });
  }

  show(rows) {
    this.rows = rows;
    this.draw();
  }

  draw() {
    const found = this.#found();
    const shown = found.slice(0, this.most);
    const keys = new Set(shown.map(this.key));
    for (const [key, line] of this.drawn) {
      if (!keys.has(key)) {
        line.tr.remove();
        this.drawn.delete(key);
      }
    }
    let place = this.body.firstElementChild;
    for (const row of shown) {
      const line = this.drawn.get(this.key(row)) ?? this.#line(row);
      this.#fill(line, row);
      if (line.tr === place) place = place.nextElementSibling;
      else this.body.insertBefore(line.tr, place);
    }
    this.heads.forEach((head, index) => {
      if (this.sort?.column === index) head.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const more = found.length - shown.length;
    this.foot.parentElement.hidden = shown.length > 0 && !more;
    this.foot.textContent = more ? `and ${more} more: filter or sort to see them` : this.filter ? "nothing like that" : this.none;
  }

  #found() {
    const word = this.filter.toLowerCase();
    const texts = (row) => this.columns.map((column) => this.#text(column, row)).join(" ").toLowerCase();
    const found = word ? this.rows.filter((row) => texts(row).includes(word)) : [...this.rows];
    if (!this.sort) return found;
    const { get } = this.columns[this.sort.column];
    const sign = this.sort.down ? -1 : 1;
    return found.sort((a, b) => sign * compare(get(a), get(b)));
  }

  #line(row) {
    const tr = document.createElement("tr");
    const cells = this.columns.map((column) => {
      const cell = document.createElement(column.first ? "th" : "td");
      if (column.first) cell.scope = "row";
      if (column.n) cell.className = "n";
      tr.append(cell);
      return cell;
    });
    const line = { tr, cells, texts: cells.map(() => null) };
    this.drawn.set(this.key(row), line);
    return line;
  }

  #fill(line, row) {
    this.columns.forEach((column, index) => {
      const text = this.#text(column, row);
      if (line.texts[index] === text) return;
      line.texts[index] = text;
      if (column.cell) column.cell(line.cells[index], column.get(row), row);
      else line.cells[index].textContent = text;
    });
  }

  #text(column, row) {
    const value = column.get(row);
    return column.show ? column.show(value, row) : String(value ?? "–");
  }
}

// What is not known comes last either way it is sorted upwards.
function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (a == null || b == null) return (a == null) - (b == null);
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

// A bar with its share as text beside it.
export function meter(cell, share, text, tone) {
  let box = cell.firstElementChild;
  if (!box) {
    box = document.createElement("span");
    box.append(document.createElement("i"), document.createElement("span"));
    cell.append(box);
  }
  box.className = `meter ${tone}`;
  box.firstElementChild.style.setProperty("--share", Math.max(0, Math.min(1, share ?? 0)).toFixed(3));
  box.lastElementChild.textContent = text;
}
