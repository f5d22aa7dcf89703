// The operators' page: is it healthy, what is it doing, what is at risk.
//
// Wiring only: what is asked when, and which part shows it. Lists are asked for every few seconds and after what changes
// them; events come as they happen. While the page is hidden nothing is asked.

import { Cards } from "./algos.js";
import * as api from "./api.js";
import { duration, integer, money, nameOf, percent } from "./format.js";
import { Tape } from "./tape.js";
import { latencyRows, makeTables, ratioTone, serviceRows } from "./views.js";

const LISTS_MS = 3_000;
const PRICES_MS = 1_000;
const SOON_MS = 250;
const SAID_MS = 8_000;
const CHANGES_LISTS = /^(order_|position_|account_|chase_|twap_|scalper_|trail_|trading_state|liquidation)/;

const $ = (id) => document.getElementById(id);
const names = new Map();
const state = { accounts: [], positions: [], orders: [], algos: [], services: [], tradingStates: [] };
const tables = makeTables(names, openAccount);
const cards = new Cards($("algos"), names);
const tape = new Tape($("events"), names);
let opened = null; // the account whose dialog is open
let listening = false;
let soon = 0;
let asking = false;

function pill(id, text, tone) {
  if ($(id).textContent !== text) $(id).textContent = text;
  $(id).className = `pill ${tone}`;
}

function say(text) {
  $("said").textContent = text;
  $("said").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => ($("said").hidden = true), SAID_MS);
}

// -- what is asked

async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    showReady(await api.ready());
    const [services, accounts, orders, algos] = await Promise.all([
      api.get("/v1/services"),
      ...["accounts", "orders", "algos"].map(api.list),
    ]);
    Object.assign(state, services, { accounts, orders, algos });
    state.positions = accounts.flatMap((account) => account.positions.map((p) => ({ ...p, subAccountId: account.id })));
    $("login").hidden = true;
    show();
    if (!listening) {
      listening = true;
      api.listen(onEvent, (what, why) => pill("live", what === "live" ? "events: live" : `events: ${why || "connection lost"}`, what === "live" ? "ok" : "bad"));
    }
  } catch (error) {
    failed(error);
  } finally {
    asking = false;
  }
}

function failed(error) {
  if (error instanceof api.Refused && error.status === 401) askForToken(error);
  else pill("ready", "the gateway does not answer", "bad");
}

function askForToken(error) {
  if (!$("login").hidden) $("login-said").textContent = error.message;
  $("login").hidden = false;
  if (document.activeElement === document.body) $("token").focus();
}

async function prices() {
  if (document.hidden || !cards.symbols.length) return;
  try {
    cards.price((await api.get(`/v1/prices?symbols=${cards.symbols.slice(0, 100).join(",")}`)).prices);
  } catch (error) {
    failed(error);
  }
}

function onEvent(event) {
  tape.add(event);
  if (CHANGES_LISTS.test(event.type) && !soon) {
    soon = setTimeout(() => {
      soon = 0;
      refresh();
    }, SOON_MS);
  }
}

// -- what is shown

function showReady(ready) {
  const whys = Object.entries(ready.parts).filter(([, part]) => !part.ok).map(([name, part]) => part.why || name);
  pill("ready", ready.ready ? "ready" : `not ready: ${whys.join(", ")}`, ready.ready ? "ok" : "bad");
}

function show() {
  names.clear();
  for (const account of state.accounts) names.set(account.id, account.name);
  tables.accounts.show(state.accounts);
  tables.positions.show(state.positions);
  tables.orders.show(state.orders);
  tables.services.show(serviceRows(state.services));
  tables.latencies.show(latencyRows(state.services));
  cards.show(state.algos);
  showFigures();
  showTrading();
  if (opened) showAccount();
}

function figure(name) {
  const beats = state.services.flatMap((service) => service.processes).filter((beat) => beat.leads !== false);
  const found = beats.map((beat) => beat.figures[name]).filter((value) => value !== undefined);
  return found.length ? Math.max(...found) : undefined;
}

function showFigures() {
  const sum = (name) => state.accounts.reduce((total, account) => total + (account[name] ?? 0), 0);
  const worst = state.accounts.reduce((most, account) => Math.max(most, account.marginRatio ?? 0), 0);
  const drifts = figure("risk_drifts");
  const pool = figure("risk_pool_margin_ratio");
  const stale = figure("feed_staleness_seconds");
  const unknown = state.orders.filter((order) => order.state === "unknown").length;
  const restricted = state.tradingStates.filter((gate) => gate.subAccountId ?? gate.symbol).length;
  const shown = [
    ["Equity", money(sum("equity")), ""],
    ["Open PnL", money(sum("unrealizedPnl")), sum("unrealizedPnl") < 0 ? "bad" : ""],
    ["Accounts", integer(state.accounts.length), ""],
    ["Restricted", integer(restricted), restricted ? "warn" : ""],
    ["Highest ratio", percent(worst), ratioTone(worst)],
    ["Exchange ratio", percent(pool), pool === undefined ? "" : ratioTone(pool)],
    ["Books", drifts === undefined ? "not told" : drifts ? `${drifts} differ` : "equal", drifts ? "bad" : drifts === 0 ? "ok" : "warn"],
    ["Orders", integer(state.orders.length), ""],
    ["Unknown", integer(unknown), unknown ? "bad" : ""],
    ["Algos", integer(state.algos.length), ""],
    ["Oldest price", duration(stale), stale > 3 ? "bad" : ""],
  ];
  const boxes = $("figures").children;
  shown.forEach(([name, value, tone], index) => {
    const box = boxes[index] ?? $("figures").appendChild(document.createElement("div"));
    if (!box.firstChild) box.append(document.createElement("dt"), document.createElement("dd"));
    box.firstChild.textContent = name;
    if (box.lastChild.textContent !== value) box.lastChild.textContent = value;
    box.lastChild.className = tone;
  });
  const counts = { accounts: state.accounts, positions: state.positions, orders: state.orders, algos: state.algos };
  for (const [name, rows] of Object.entries(counts)) {
    const text = `${name === "orders" ? "Live orders" : name[0].toUpperCase() + name.slice(1)} (${rows.length})`;
    if ($(`${name}-title`).textContent !== text) $(`${name}-title`).textContent = text;
  }
}

// -- the trading state

function tradingOf(accountId) {
  const found = state.tradingStates.find((gate) => (gate.subAccountId ?? "") === accountId && gate.symbol === null);
  return found ? found.state : "active";
}

function press(buttons, now) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.state === now));
}

function showTrading() {
  press($("trading").querySelectorAll("button"), tradingOf(""));
}

function sure(text, yes) {
  $("sure-text").textContent = text;
  $("sure").querySelector("[value=yes]").textContent = yes;
  $("sure").returnValue = "";
  $("sure").showModal();
  return new Promise((resolve) => {
    $("sure").onclose = () => resolve($("sure").returnValue === "yes");
  });
}

async function setTrading(wanted, accountId) {
  if (wanted === tradingOf(accountId)) return;
  const who = nameOf(names, accountId);
  const asked = {
    halted: [`Halt trading for ${who}? Nothing is sent to the exchange but cancels and liquidations.`, "Halt"],
    reducing: [`Let ${who} only reduce positions?`, "Only reduce"],
    active: [`Let ${who} trade again?`, "Resume"],
  };
  if (!(await sure(...asked[wanted]))) return;
  try {
    await api.post("/v1/trading-state", { state: wanted, ...(accountId ? { subAccountId: accountId } : {}) });
    say(`Trading is ${wanted} for ${who}.`);
  } catch (error) {
    say(error instanceof api.Refused ? error.message : "The gateway did not answer: look whether it was done.");
  }
  refresh();
}

// -- one account

function openAccount(id) {
  opened = id;
  showAccount();
  $("account").showModal();
}

function showAccount() {
  const account = state.accounts.find((one) => one.id === opened);
  if (!account) return $("account").close();
  const gates = state.tradingStates.filter((gate) => gate.subAccountId === opened && gate.symbol);
  const facts = [
    ["id", account.id],
    ["status", account.accountStatus],
    ["balance", money(account.balance)],
    ["equity", money(account.equity)],
    ["open PnL", money(account.unrealizedPnl)],
    ["margin used", money(account.marginUsed)],
    ["available", money(account.availableMargin)],
    ["maintenance margin", money(account.maintenanceMargin)],
    ["margin ratio", percent(account.marginRatio)],
    ["exposure", money(account.totalExposure)],
    ["liquidation", `${account.liquidationMode}, ${account.maintenanceMode}`],
    ...gates.map((gate) => [`trading ${gate.symbol}`, gate.state]),
  ];
  $("account-title").textContent = account.name || account.id;
  $("account-facts").replaceChildren(
    ...facts.flatMap(([name, value]) => {
      const [term, said] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      said.textContent = value ?? "–";
      return [term, said];
    }),
  );
  press($("account-trading").querySelectorAll("button"), tradingOf(opened));
}

// -- what people do

$("trading").onclick = ({ target }) => target.dataset.state && setTrading(target.dataset.state, "");
$("account-trading").onclick = ({ target }) => target.dataset.state && setTrading(target.dataset.state, opened);
$("account").onclose = () => (opened = null);
$("login").onsubmit = (event) => {
  event.preventDefault();
  $("login-said").textContent = "";
  api.setToken($("token").value);
  refresh();
};
$("pause").onclick = () => {
  tape.pause(!tape.paused);
  $("pause").setAttribute("aria-pressed", String(tape.paused));
  $("pause").textContent = tape.paused ? "Go on" : "Pause";
};
for (const input of document.querySelectorAll("[data-filter]")) {
  const shows = { ...tables, algos: cards, events: tape }[input.dataset.filter];
  input.oninput = () => {
    shows.filter = input.value.trim();
    if (shows === tape) tape.drawAll();
    else shows.draw();
  };
}
document.onvisibilitychange = refresh;
refresh();
setInterval(refresh, LISTS_MS);
setInterval(prices, PRICES_MS);
