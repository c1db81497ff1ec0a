"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("search");
  const found = document.getElementById("found");
  /* Rows drawn at once: for an answer while somebody types, and when more are asked for. */
  const AT_ONCE = 200, MORE = 1000;
  const number = new Intl.NumberFormat("en").format;
  /* "zoe" finds Zoë, and "елка" finds Ёлка. */
  const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const linked = (kind, id, name) => {
    const label = name || `#${id}`;
    const address = `${data.origin}/crm/${kind}/details/${id}/`;
    const shown = data.origin ? make("a", { href: address, rel: "noopener noreferrer" }, label) : label;
    return name ? [shown, " ", make("small", {}, `#${id}`)] : [shown];
  };
  const cell = (head, ...children) => {
    const element = make("td", { role: "cell" }, make("span", {}, ...children));
    element.dataset.label = head;
    return element;
  };

  class Listing {
    constructor(table) {
      this.table = table;
      this.id = table.id;
      this.body = table.tBodies[0];
      this.first = [...this.body.rows];
      this.rows = data.rows[this.id];
      this.hint = document.querySelector(`[data-rest="${this.id}"]`);
      this.button = make("button", { type: "button", hidden: true });
      this.button.addEventListener("click", () => this.more());
      table.after(this.button);
      this.reset();
    }
    get total() { return data.totals[this.id]; }
    reset() {
      this.found = this.rows;
      this.drawn = this.first.length;
      this.body.replaceChildren(...this.first);
      this.say(false);
    }
    search(terms) {
      /* All that a row says, in one text a row; made when somebody searches first. */
      this.folded ??= data.words.map(plain);
      this.texts ??= this.rows.map(([contact, name, company, of, ...rest]) =>
        `#${contact} ${this.folded[name]} #${company} ${this.folded[of]} ${rest.map(w => this.folded[w]).join(" ")}`);
      this.found = this.rows.filter((_, at) => terms.every(term => this.texts[at].includes(term)));
      this.drawn = 0;
      this.body.replaceChildren();
      this.draw(AT_ONCE);
      this.say(true);
    }
    more() {
      const next = this.drawn;
      this.draw(MORE);
      this.say(this.found !== this.rows);
      /* Whoever pressed the button by key reads on where the new rows begin. */
      const link = this.body.rows[next]?.querySelector("a");
      if (this.button.hidden && link) link.focus();
    }
    draw(count) {
      const rows = this.found.slice(this.drawn, this.drawn + count).map(row => this.row(row));
      this.body.append(...rows);
      this.drawn += rows.length;
    }
    row([contact, name, company, of, ...rest]) {
      const { words } = data;
      const cells = data.heads[this.id].map((head, at) => {
        const text = words[rest[2 * at]], note = words[rest[2 * at + 1]];
        const shown = head === "Result" ? make("b", {}, text) : text;
        if (head === "Result") shown.dataset.result = text;
        return cell(head, shown, ...(note ? [" ", make("em", {}, note)] : []));
      });
      return make("tr", { role: "row" },
        Object.assign(make("th", { role: "rowheader", scope: "row" }, ...linked("contact", contact, words[name]))),
        cell("Company", ...linked("company", company, words[of])), ...cells);
    }
    say(searched) {
      const rest = this.found.length - this.drawn;
      this.button.hidden = rest <= 0;
      this.button.textContent = `Show ${number(Math.min(rest, MORE))} more`;
      this.table.hidden = searched && !this.found.length;
      if (this.hint) this.hint.hidden = searched || this.drawn >= this.total;
      const hidden = this.total - this.drawn;
      const count = this.hint?.querySelector("b");
      if (count) count.textContent = number(hidden);
    }
  }

  const listings = [...document.querySelectorAll("table[data-searched]")].map(table => new Listing(table));
  const search = () => {
    const terms = plain(form.elements.q.value).split(/\s+/).filter(Boolean);
    for (const listing of listings) terms.length ? listing.search(terms) : listing.reset();
    found.textContent = terms.length
      ? listings.map(one => `${number(one.found.length)} of ${number(one.rows.length)} ${data.nouns[one.id]}`).join(", ")
      : "";
  };
  form.addEventListener("input", search);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  /* The browser may have kept what was typed before the page was loaded again. */
  if (form.elements.q.value) search();
})();
