// What the tables show of the gateway's lists.

import { bytes, duration, integer, money, nameOf, number, percent, price } from "./format.js";
import { meter, Table } from "./table.js";

const WARN_RATIO = 0.8; // the default threshold of liquidation is 0.9, its warning 0.1 below
const BAD_RATIO = 0.9;
const WARN_DISTANCE = 0.1;
const BAD_DISTANCE = 0.03;

const byId = (id) => document.getElementById(id);

// How far the mark may still move against the position, as a share of it; null where no price liquidates it.
export function distance(position) {
  const { markPrice: mark, liquidationPrice: end } = position;
  return mark > 0 && end > 0 ? Math.abs(mark - end) / mark : null;
}

const far = (share) => (share > 1 ? "> 100 %" : percent(share));

export const ratioTone = (ratio) => (ratio >= BAD_RATIO ? "bad" : ratio >= WARN_RATIO ? "warn" : "ok");
const distanceTone = (share) => (share < BAD_DISTANCE ? "bad" : share < WARN_DISTANCE ? "warn" : "ok");
const toned = (show, bad) => (cell, value) => {
  cell.textContent = show(value);
  cell.classList.toggle("bad", bad(value));
};
const signed = { show: money, cell: toned(money, (value) => value < 0), n: true };

export function makeTables(names, openAccount) {
  const account = { name: "account", get: (row) => row.subAccountId, show: (id) => nameOf(names, id), first: true };
  const linked = (cell, _value, row) => {
    const button = document.createElement("button");
    button.className = "link";
    button.textContent = row.name || row.id;
    button.onclick = () => openAccount(row.id);
    cell.replaceChildren(button);
  };
  return {
    accounts: new Table(
      byId("accounts"),
      [
        { name: "account", get: (row) => row.name || row.id, cell: linked, first: true },
        { name: "status", get: (row) => row.accountStatus, cell: toned(String, (status) => status !== "ACTIVE") },
        { name: "equity", get: (row) => row.equity, show: money, n: true },
        { name: "PnL", get: (row) => row.unrealizedPnl, ...signed },
        { name: "margin used", get: (row) => row.marginUsed, show: money, n: true },
        { name: "available", get: (row) => row.availableMargin, show: money, n: true },
        {
          name: "margin ratio",
          get: (row) => row.marginRatio,
          show: (ratio) => percent(ratio),
          cell: (cell, ratio) => meter(cell, ratio, percent(ratio), ratioTone(ratio)),
          n: true,
        },
        { name: "positions", get: (row) => row.positions.length, n: true },
        { name: "id", get: (row) => row.id },
      ],
      { key: (row) => row.id, sort: { column: 6, down: true } },
    ),
    positions: new Table(
      byId("positions"),
      [
        account,
        { name: "symbol", get: (row) => row.symbol },
        { name: "side", get: (row) => row.side },
        { name: "quantity", get: (row) => row.quantity, show: number, n: true },
        { name: "entry", get: (row) => row.entryPrice, show: price, n: true },
        { name: "mark", get: (row) => row.markPrice, show: price, n: true },
        { name: "PnL", get: (row) => row.unrealizedPnl, ...signed },
        { name: "margin", get: (row) => row.margin, show: money, n: true },
        { name: "liquidation", get: (row) => row.liquidationPrice || null, show: price, n: true },
        {
          name: "distance",
          get: distance,
          show: far,
          cell: (cell, share) => meter(cell, share ?? 1, far(share), distanceTone(share ?? 1)),
          n: true,
        },
      ],
      { key: (row) => row.id, sort: { column: 9, down: false } },
    ),
    orders: new Table(
      byId("orders"),
      [
        account,
        { name: "symbol", get: (row) => row.symbol },
        { name: "side", get: (row) => row.side },
        { name: "type", get: (row) => row.orderType },
        { name: "quantity", get: (row) => row.quantity, show: number, n: true },
        { name: "filled", get: (row) => row.filledQty, show: number, n: true },
        { name: "price", get: (row) => row.price, show: price, n: true },
        { name: "state", get: (row) => row.state, cell: toned(String, (state) => state === "unknown") },
        { name: "origin", get: (row) => row.origin },
        { name: "age", get: (row) => row.createdAt, show: (ms) => duration(Math.max(0, Date.now() - ms) / 1000), n: true },
        { name: "id", get: (row) => row.clientOrderId },
      ],
      { key: (row) => row.clientOrderId, sort: { column: 9, down: true }, most: 300 },
    ),
    services: new Table(
      byId("services"),
      [
        { name: "service", get: (row) => row.service, first: true },
        {
          name: "state",
          get: stateOf,
          cell: toned(String, (state) => !["leads", "stands by", "ready"].includes(state)),
        },
        { name: "waiting", get: (row) => row.waiting, show: integer, n: true },
        { name: "oldest", get: (row) => row.oldest, show: (seconds) => (seconds ? duration(seconds) : "–"), n: true },
        { name: "loop", get: (row) => row.figures?.loop_lag_max_seconds, show: duration, n: true },
        { name: "memory", get: (row) => row.residentBytes, show: bytes, n: true },
        { name: "up", get: (row) => row.startedAt, show: (ms) => (ms ? duration((Date.now() - ms) / 1000) : "–"), n: true },
        { name: "process", get: (row) => row.process },
      ],
      { key: (row) => `${row.service} ${row.process}` },
    ),
    latencies: new Table(
      byId("latencies"),
      [
        { name: "what", get: (row) => row.what, first: true },
        { name: "service", get: (row) => row.service },
        { name: "p50", get: (row) => row.p50S, show: duration, n: true },
        { name: "p99", get: (row) => row.p99S, show: duration, n: true },
        { name: "times", get: (row) => row.count, show: integer, n: true },
      ],
      { key: (row) => `${row.service} ${row.what}`, none: "nothing measured in the last minute" },
    ),
  };
}

function stateOf(row) {
  if (!row.process) return "not there";
  if (row.leads === true && row.ready) return "leads";
  if (row.leads === false) return "stands by";
  return row.ready ? "ready" : row.why || "not ready";
}

// The rows of the table of services: one a process, and one for a service that has none.
export function serviceRows(services) {
  return services.flatMap(({ name, processes }) =>
    processes.length
      ? processes.map((beat) => ({
          ...beat,
          waiting: beat.backlogs.reduce((sum, backlog) => sum + backlog.lag + backlog.pending, 0),
          oldest: beat.backlogs.reduce((most, backlog) => Math.max(most, backlog.oldestS), 0),
        }))
      : [{ service: name, process: "" }],
  );
}

export const latencyRows = (services) =>
  services.flatMap(({ name, processes }) =>
    processes.flatMap((beat) =>
      Object.entries(beat.latencies).map(([what, latency]) => ({
        what: what.replace("_seconds", "").replaceAll("_", " "),
        service: name,
        ...latency,
      })),
    ),
  );
