// Refusals that the state of things brings about: the market, the account's day, the exchange's moods, the system's own.
// Each is brought about from outside: by commands, by what the simulated exchange does, by what a client does to Redis.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect } from "pms-client";
import { adminClient, call, end, LIBRARY, newAccount, redisClient, until } from "./redis.mjs";
import { exchange, fault, recorded, refusedAs } from "./suite.mjs";

const is = {}; // accounts by what is special about them
let admin, answered, at, frozen, pms, price, report, send;

before(async () => {
  ({ answered, at, pms, report, send } = await recorded(is));
  admin = await adminClient();
  price = (await pms.price("BTCUSDT")).bid;
  is.rich = await newAccount(pms);
  is.busy = await newAccount(pms);
  is.crammed = await newAccount(pms, { balance: 1_000 });
  is.losing = await newAccount(pms, { maxDailyLoss: 0.01 });
  is.thin = await newAccount(pms, { balance: 100 });
  frozen = frozenSymbol(); // takes some ten seconds, in which the others go on
});
after(async () => {
  await exchange("faults", undefined, "DELETE");
  await report();
  end(admin);
});

const order = (more) => ({ subAccountId: is.rich, symbol: "BTCUSDT", side: "BUY", quantity: 0.01, leverage: 10, ...more });
const resting = (share, more) => order({ price: Math.floor(price * share), ...more });
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** The best bid of a symbol that is asked for, once it has one. */
async function bid(symbol) {
  for (let n = 0; n < 200; n++) {
    await send("validate", order({ symbol }));
    const quote = await pms.price(symbol);
    if (quote) return quote.bid;
    await pause(50);
  }
  throw new Error(`${symbol} has no price`);
}

/** Sends it again and again, each time as a new command, until it is answered as it should be. */
async function eventually(accepts, type, body, withinMs = 30_000) {
  const end = Date.now() + withinMs;
  for (;;) {
    const result = await send(type, await body());
    if (accepts(result)) return result;
    assert.ok(Date.now() < end, JSON.stringify(result));
    await pause(100);
  }
}
const eventuallyRefused = (code, ...command) => eventually((result) => result.errorCode === code, ...command);
const eventuallyDone = (...command) => eventually((result) => result.success, ...command);

// -- the account

test("MARGIN_RATIO_EXCEEDED: margin for nearly all of the equity", async () => {
  const quantity = Math.floor((0.99 * 1_000 * 10 * 1000) / price) / 1000;
  refusedAs("MARGIN_RATIO_EXCEEDED", await send("trade", order({ subAccountId: is.crammed, quantity })));
});

test("MAX_DAILY_LOSS_REACHED: a commission is a loss", async () => {
  const lose = order({ subAccountId: is.losing, waitFor: "final" });
  assert.equal((await send("trade", lose)).state, "filled");
  refusedAs("MAX_DAILY_LOSS_REACHED", await send("trade", lose));
  assert.equal((await send("trade", { ...lose, side: "SELL", reduceOnly: true })).success, true, "what lowers it goes on");
});

test("BASKET_RUNNING: two at once", async () => {
  const legs = [{ symbol: "BTCUSDT", side: "BUY", quantity: 0.01, leverage: 10 }];
  await exchange("faults", { kind: "delay", ms: 500, operation: "order.place", count: 1 });
  const [one, other] = await Promise.all([1, 2].map(() => send("basket", { subAccountId: is.busy, legs })));
  assert.equal(one.success, true, JSON.stringify(one));
  refusedAs("BASKET_RUNNING", other);
});

test("RISK_REJECTED: the order of an algo is amended by nobody else", async () => {
  const before = await pms.position();
  const { chaseId } = await send("chase", order({ stalkOffsetPct: 3 }));
  const child = await until(pms.events({ after: before }), (e) => e.type === "order_active" && e.parentId === chaseId);
  refusedAs("RISK_REJECTED", await send("amend", { orderId: child.orderId, price: Math.floor(price * 0.9) }));
  await send("chase_cancel", { chaseId });
});

test("ALGO_LIMIT_REACHED: as many scalpers as an account may have, and one", async () => {
  const scalper = { ...order({ subAccountId: is.busy, quantity: undefined, side: undefined }), startSide: "LONG" };
  const far = { childCount: 1, baseOffsetPct: 4, longSizeUsd: 100, shortSizeUsd: 100 };
  const begun = await Promise.all(Array.from({ length: 51 }, () => send("scalper", { ...scalper, ...far })));
  const refused = begun.filter((result) => !result.success);
  assert.equal(refused.length, 1, JSON.stringify(refused));
  refusedAs("ALGO_LIMIT_REACHED", refused[0]);
  assert.equal((await send("cancel_all", { subAccountId: is.busy, includeAlgos: true })).success, true);
});

// -- the market

test("NO_PRICE: nobody offers or asks", async () => {
  const quiet = { symbol: "QUIETUSDT", quantity: 10 };
  const twap = { ...order({ ...quiet, quantity: undefined }), totalSize: 2000, lots: 2, durationMinutes: 5 };
  const asked = [["NO_PRICE", "trade", order(quiet)], ["NO_PRICE", "chase", order(quiet)], ["VALIDATION_TWAP_PRICE_UNAVAILABLE", "twap", twap]];
  await Promise.all(asked.map(async ([code, type, body]) => refusedAs(code, await send(type, body))));
});

test("CANCELLED_BEFORE_SEND: a cancel of all overtakes what waits for a price", async () => {
  const waits = send("chase", order({ subAccountId: is.busy, symbol: "QUIETUSDT", quantity: 10 }));
  await pause(300);
  await send("cancel_all", { subAccountId: is.busy, includeAlgos: true });
  refusedAs("CANCELLED_BEFORE_SEND", await waits);
});

test("SYMBOL_NOT_TRADING: what the exchange settles", async () => {
  const settling = order({ symbol: "ADAUSDT", quantity: 100 });
  refusedAs("SYMBOL_NOT_TRADING", await send("trade", settling));
  refusedAs("SYMBOL_NOT_TRADING", await send("chase", settling));
});

const quote = (symbol, price) => exchange("market", { symbol, bid: price.toFixed(2), ask: (price + 0.01).toFixed(2) });

test("ACCOUNT_LIQUIDATING: between the fall and the close", async () => {
  const before = await pms.position();
  const sol = await bid("SOLUSDT");
  const bought = await send("trade", order({ subAccountId: is.thin, symbol: "SOLUSDT", quantity: 10, leverage: 20, waitFor: "final" }));
  assert.equal(bought.state, "filled", JSON.stringify(bought));
  await exchange("faults", { kind: "drop_response", executed: false, operation: "order.place", symbol: "SOLUSDT", count: 1 });
  await quote("SOLUSDT", sol * 0.93);
  await eventuallyRefused("ACCOUNT_LIQUIDATING", "trade", () => order({ subAccountId: is.thin }));
  await until(pms.events({ after: before }), (e) => e.type === "full_liquidation" && e.subAccountId === is.thin);
  await quote("SOLUSDT", sol);
});

// -- the exchange

const CODES = JSON.parse(process.env.PMS_TEST_EXCHANGE_CODES); // [the exchange's, ours, how often it says so]
for (const [code, ours, count] of CODES) {
  test(`${ours}: the exchange says ${code}`, async () => {
    const [type, body, operation] = ours === "EXCHANGE_UNKNOWN_ORDER" ? await amended() : ["trade", order(), "order.place"];
    const { id } = await fault(code, operation, { count, retryAfter: 1 });
    const result = refusedAs(ours, await send(type, body));
    assert.equal(result.errorCategory, "EXCHANGE");
    assert.ok(!(await exchange("faults", undefined, "GET")).ids.includes(id), "the exchange was asked as often as that");
  });
}

async function amended() {
  const { orderId } = await send("limit", resting(0.9));
  return ["amend", { orderId, price: Math.floor(price * 0.91) }, "order.modify"];
}

test("EXCHANGE_CAPACITY: every place in the book of a symbol is taken", async () => {
  const below = Math.floor((await bid("XRPUSDT")) * 0.97 * 10_000) / 10_000;
  const rest = order({ subAccountId: is.busy, symbol: "XRPUSDT", quantity: 100, price: below });
  for (let n = 0; n < 4; n++) assert.equal((await send("limit", rest)).success, true);
  refusedAs("EXCHANGE_CAPACITY", await send("limit", rest));
  await send("cancel_all", { subAccountId: is.busy });
});

/** An execution that nobody can hear of, nor asks for in vain: books and exchange differ. */
async function frozenSymbol() {
  const symbol = LIBRARY === "ioredis" ? "DOGEUSDT" : "BNBUSDT"; // it stays so for a minute
  await exchange("faults", { kind: "drop_event", event: "ORDER_TRADE_UPDATE", symbol });
  await exchange("faults", { kind: "stale_query", ms: 60_000, operation: "userTrades", symbol });
  await exchange("faults", { kind: "foreign_order", side: "BUY", quantity: "100", symbol });
  return symbol;
}

test("SYMBOL_FROZEN: books and exchange differ", async () => {
  const body = order({ symbol: await frozen, quantity: 100 });
  await eventually((result) => result.errors[0]?.code === "SYMBOL_FROZEN", "validate", () => body);
  refusedAs("SYMBOL_FROZEN", await send("trade", body));
  await exchange("faults", undefined, "DELETE");
});

// -- the gateway

async function post(type, token, body = {}) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(`${process.env.PMS_TEST_GATEWAY}/v1/commands/${type}`, { method: "POST", headers, body: JSON.stringify(body) });
  const result = await answer.json();
  answered.push([type, result]);
  return [answer.status, result];
}

for (const [code, status, type, token] of [
  ["AUTH_TOKEN_REQUIRED", 401, "trade", undefined],
  ["AUTH_TOKEN_REQUIRED", 401, "trade", "somebody-elses-token"],
  ["AUTH_ROLE_FORBIDDEN", 403, "trade", "token-that-may-read"],
  ["AUTH_ROLE_FORBIDDEN", 403, "account", "token-that-may-trade"],
  ["VALIDATION_UNKNOWN_COMMAND", 404, "gamble", "token-that-may-trade"],
]) {
  test(`${code}: ${type} with ${token ?? "no token"}`, async () => {
    const [told, result] = await post(type, token);
    assert.equal(told, status);
    refusedAs(code, result);
  });
}

test("AUTH_RATE_LIMITED: more requests than a token may send", async () => {
  const all = await Promise.all(Array.from({ length: 200 }, () => post("gamble", "token-that-hurries")));
  const limited = all.filter(([status]) => status === 429);
  assert.ok(limited.length > 0 && limited.length < 200, `${limited.length} of 200`);
  refusedAs("AUTH_RATE_LIMITED", limited[0][1]);
});

// -- the system

test("INFRA_TIMEOUT: nobody answers", async () => {
  refusedAs("INFRA_TIMEOUT", await send("no_such_type", {}, { timeoutMs: 50 }));
});

test("INFRA_REDIS_UNAVAILABLE: the connection is lost, and does not come back", async () => {
  const client = await redisClient();
  const lost = await connect(client, { namespace: at.namespace });
  end(client);
  const error = await lost.send("trade", order()).catch((found) => found);
  refusedAs("INFRA_REDIS_UNAVAILABLE", error.result);
  answered.push(["trade", error.result]);
  await lost.close();
});

test("INFRA_NOT_READY: the order service does not hear the exchange", async () => {
  const blind = async () => {
    await exchange("faults", { kind: "disconnect", sockets: "private", seconds: 3 });
    await pause(500); // what comes before risk has heard of it waits, and is executed afterwards
    return order();
  };
  await eventuallyRefused("INFRA_NOT_READY", "trade", blind);
  await eventuallyDone("trade", order);
});

test("INFRA_OVERLOADED: more waits for the order service than it may", async () => {
  const stream = `${at.namespace}:bus:orders:requests`;
  const fill = "for _ = 1, 10001 do redis.call('XADD', KEYS[1], '*', 'data', 'nonsense') end";
  const take = "redis.call('XREADGROUP', 'GROUP', 'orders', 'stuck', 'STREAMS', KEYS[1], '>')";
  await call(admin, "EVAL", `${fill} ${take}`, "1", stream); // in one step: the service itself has none of it
  await eventuallyRefused("INFRA_OVERLOADED", "trade", order);
  await call(admin, "XGROUP", "DELCONSUMER", stream, "orders", "stuck");
  await eventuallyDone("trade", order);
});

test("everything ends", async () => {
  for (const account of Object.values(is)) assert.equal((await send("close_all", { subAccountId: account })).success, true);
});
