// The cards of running algos: what each has done of what it is to do, and the chart of those that follow a price.

import { drawChart, forgetAllBut, makeChart, note } from "./chart.js";
import { nameOf, number, percent, price, time } from "./format.js";

const MOST = 60;
const FOLLOWING = new Set(["chase", "trail_stop"]);
const ID = { chase: "chaseId", scalper: "scalperId", twap: "twapId", twap_basket: "twapBasketId", trail_stop: "trailStopId" };

export const idOf = (algo) => algo[ID[algo.kind]];

const share = (done, all) => (all ? done / all : 0);

// {done: share of its work, head: that in other words, what: a line about it}
const WORK = {
  chase: (a) => ({
    done: share(a.filledQty, a.quantity),
    what: `${number(a.filledQty)} of ${number(a.quantity)} · order at ${price(a.currentOrderPrice)} · ${a.repriceCount} reprices`,
  }),
  twap: (a) => ({
    done: share(a.filledLots, a.totalLots),
    what: `lot ${a.filledLots} of ${a.totalLots}${a.nextOrderAt ? ` · next ${time(a.nextOrderAt)}` : ""}`,
  }),
  twap_basket: (a) => ({
    done: share(a.filledLots, a.totalLots),
    what: `${a.legs.length} legs · lot ${a.filledLots} of ${a.totalLots}`,
  }),
  scalper: (a) => ({
    done: share(
      [...a.longSlots, ...a.shortSlots].filter((slot) => slot.active).length,
      a.longSlots.length + a.shortSlots.length,
    ),
    what: `${a.fillCount} fills · ${a.longLayers} long and ${a.shortLayers} short layers`,
  }),
  trail_stop: (a) => ({
    done: a.activated ? 1 : 0,
    head: a.activated ? "armed" : "not armed",
    what: a.activated
      ? `extreme ${price(a.extremePrice)} · fires at ${price(a.triggerPrice)}`
      : `waits for ${price(a.activationPrice)}`,
  }),
};

const title = (algo) => [algo.kind.replace("_", " "), algo.symbol ?? algo.basketName, algo.side].filter(Boolean).join(" ");

export class Cards {
  constructor(element, names) {
    this.element = element;
    this.names = names;
    this.cards = new Map();
    this.algos = [];
    this.filter = "";
  }

  // The symbols whose prices are wanted for the charts.
  get symbols() {
    return [...new Set(this.algos.filter((algo) => FOLLOWING.has(algo.kind)).map((algo) => algo.symbol))];
  }

  // A point on each chart.
  price(prices) {
    for (const algo of this.algos) {
      const mid = prices[algo.symbol]?.mid;
      if (FOLLOWING.has(algo.kind) && mid !== undefined) {
        note(idOf(algo), { price: mid, own: algo.currentOrderPrice ?? algo.triggerPrice, extreme: algo.extremePrice });
      }
    }
    this.draw();
  }

  show(algos) {
    this.algos = algos;
    forgetAllBut(new Set(algos.map(idOf)));
    this.draw();
  }

  draw() {
    const word = this.filter.toLowerCase();
    const wanted = (algo) => `${title(algo)} ${nameOf(this.names, algo.subAccountId)} ${idOf(algo)}`.toLowerCase().includes(word);
    const shown = this.algos.filter(wanted).slice(0, MOST);
    const ids = new Set(shown.map(idOf));
    for (const [id, card] of this.cards) {
      if (!ids.has(id)) {
        card.item.remove();
        this.cards.delete(id);
      }
    }
    for (const algo of shown) this.#fill(this.cards.get(idOf(algo)) ?? this.#make(algo), algo);
    this.element.dataset.none = shown.length ? "" : "none";
    this.element.setAttribute("aria-label", `${this.algos.length} running algos, ${shown.length} shown`);
  }

  #make(algo) {
    const item = document.createElement("li");
    const part = (tag, name) => {
      const made = document.createElement(tag);
      made.className = name;
      item.append(made);
      return made;
    };
    const head = part("p", "title");
    head.append(document.createElement("span"), document.createElement("span"));
    const card = { item, head, progress: part("div", "progress"), what: part("p", "what"), sub: part("p", "sub") };
    if (FOLLOWING.has(algo.kind)) item.append((card.chart = makeChart()));
    this.cards.set(idOf(algo), card);
    this.element.append(item);
    return card;
  }

  #fill(card, algo) {
    const { done, what, head = percent(done, 0) } = WORK[algo.kind](algo);
    card.head.firstChild.textContent = title(algo);
    card.head.lastChild.textContent = algo.status === "active" ? head : algo.status;
    card.head.lastChild.className = algo.status === "active" ? "" : "warn";
    card.progress.style.setProperty("--share", Math.min(1, done).toFixed(3));
    card.what.textContent = what;
    card.sub.textContent = `${nameOf(this.names, algo.subAccountId)} · ${idOf(algo)}`;
    if (card.chart) drawChart(card.chart, idOf(algo), `Price, and ${what}`);
  }
}
