// The tape of events: the newest first, filtered, and standing still while paused.
//
// Owns the newest events in memory and the few of them that are drawn. However many come, the page draws once a frame.

import { nameOf, number, time } from "./format.js";

const KEPT = 10_000;
const DRAWN = 200;
const SHOWN = ["symbol", "side", "quantity", "price", "fillPrice", "currentOrderPrice", "realizedPnl", "state", "status", "reason", "error"];

export class Tape {
  constructor(element, names) {
    this.element = element;
    this.names = names;
    this.events = [];
    this.fresh = [];
    this.filter = "";
    this.paused = false;
    this.waiting = false;
  }

  add(event) {
    this.events.push(event);
    this.fresh.push(event);
    if (this.events.length > KEPT * 1.1) this.events.splice(0, this.events.length - KEPT);
    if (!this.waiting && !this.paused) {
      this.waiting = true;
      requestAnimationFrame(() => this.#drawFresh());
    }
  }

  pause(paused) {
    this.paused = paused;
    if (!paused) this.drawAll();
  }

  // All of them anew: the filter is another, or the pause is over.
  drawAll() {
    this.fresh = [];
    const found = [];
    for (let at = this.events.length - 1; at >= 0 && found.length < DRAWN; at -= 1) {
      const text = textOf(this.events[at], this.names);
      if (this.#wanted(text)) found.push(line(this.events[at], text));
    }
    this.element.replaceChildren(...found);
  }

  #drawFresh() {
    this.waiting = false;
    if (this.paused) return;
    const lines = [];
    for (let at = this.fresh.length - 1; at >= 0 && lines.length < DRAWN; at -= 1) {
      const text = textOf(this.fresh[at], this.names);
      if (this.#wanted(text)) lines.push(line(this.fresh[at], text));
    }
    this.fresh = [];
    this.element.prepend(...lines);
    while (this.element.childElementCount > DRAWN) this.element.lastElementChild.remove();
  }

  #wanted(text) {
    return !this.filter || text.toLowerCase().includes(this.filter.toLowerCase());
  }
}

function textOf(event, names) {
  const values = SHOWN.map((name) => event[name]).filter((value) => value !== undefined && value !== null && value !== "");
  return [event.type, nameOf(names, event.subAccountId), ...values.map(number)].join("  ");
}

function line(event, text) {
  const item = document.createElement("li");
  const at = document.createElement("time");
  const type = document.createElement("b");
  at.textContent = time(event.timestamp);
  type.textContent = event.type;
  if (/failed|liquidation|drift|adl/.test(event.type)) type.className = "bad";
  else if (/warning|cancelled/.test(event.type)) type.className = "warn";
  item.append(at, " ", type, text.slice(event.type.length));
  return item;
}
