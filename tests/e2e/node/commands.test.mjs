// Every command, by a table: a success of each, and the refusals that its sender brings about, with what is answered.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, newAccount, until } from "./redis.mjs";
import { fault, recorded, refusedAs } from "./suite.mjs";

const is = {}; // accounts by what is special about them
const got = {}; // ids that earlier rows have brought
let answered, at, pms, price, report, send;

before(async () => {
  ({ answered, at, pms, report, send } = await recorded(is));
  price = (await pms.price("BTCUSDT")).bid;
  is.rich = await newAccount(pms);
  is.other = await newAccount(pms);
  is.frozen = await newAccount(pms);
  is.poor = await newAccount(pms, { balance: 1 });
  is.small = await newAccount(pms, { maxNotionalPerTrade: 1000, maxTotalExposure: 500, maxLeverage: 20 });
  is.picky = await newAccount(pms, { allowedSymbols: ["ETHUSDT"], maxOpenOrders: 1 });
  is.hasty = await newAccount(pms, { maxOrdersPerMinute: 1 });
  is.halted = await newAccount(pms);
  is.reducing = await newAccount(pms);
  await pms.send("account", { action: "freeze", subAccountId: is.frozen });
  await pms.send("trading_state", { state: "halted", subAccountId: is.halted });
  await pms.send("trading_state", { state: "reducing", subAccountId: is.reducing });
});

after(() => report());

const order = (more) => ({ subAccountId: is.rich, symbol: "BTCUSDT", side: "BUY", quantity: 0.01, leverage: 10, ...more });
const resting = (more) => order({ price: Math.floor(price * 0.9), ...more });
const near = (share) => Math.floor(price * share);

/** As flat fields, which is what a person with redis-cli writes. */
async function sendFlat(type, body) {
  const requestId = `flat-${process.hrtime.bigint()}`;
  const fields = Object.entries({ requestId, ...body }).flat().map((v) => (typeof v === "object" ? JSON.stringify(v) : String(v)));
  await call(at.redis, "XADD", `${at.namespace}:cmd:${type}`, "*", ...fields);
  return answer(requestId);
}

/** What lies under the key of a result, once it does. */
async function answer(requestId) {
  for (let n = 0; n < 300; n++) {
    const text = await call(at.redis, "GET", `${at.namespace}:result:${requestId}`);
    if (text) return JSON.parse(text);
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${requestId} was not answered`);
}

/** Rows: [what, command, body, what the success must have (a function of it)]. */
const succeeds = [
  ["a market order", "trade", () => order({ waitFor: "final" }), (r) => {
    assert.deepEqual([r.state, r.side, r.symbol, r.filledQty], ["filled", "BUY", "BTCUSDT", 0.01]);
    assert.equal(r.orderId, r.clientOrderId);
  }],
  ["a bounded one, in the browser's words", "trade",
    () => order({ side: "LONG", symbol: "BTC/USDT:USDT", quantity: "0.01", leverage: "10", maxSlippagePct: 1, waitFor: "final" }),
    (r) => assert.deepEqual([r.side, r.symbol, r.state], ["BUY", "BTCUSDT", "filled"])],
  ["an unknown field", "trade", () => order({ colour: "red" }), (r) => assert.match(r.warnings[0], /colour/)],
  ["one that reduces", "trade", () => order({ side: "SELL", reduceOnly: true, waitFor: "final" }), (r) => assert.equal(r.side, "SELL")],
  ["a check", "validate", () => order(), (r) => assert.deepEqual([r.valid, r.errors], [true, []])],
  ["a check that fails", "validate", () => order({ subAccountId: is.small, quantity: 0.1 }), (r) => {
    assert.equal(r.valid, false);
    assert.equal(r.errors[0].code, "MAX_NOTIONAL_EXCEEDED");
  }],
  ["a limit order", "limit", () => resting(), (r) => {
    assert.equal(r.state, "active");
    got.order = r.orderId;
  }],
  ["a post-only one", "limit", () => resting({ postOnly: true }), (r) => assert.equal(r.state, "active")],
  ["one until a date", "limit", () => resting({ timeInForce: "GTD", goodTillDate: Date.now() + 3_600_000 }), (r) => assert.ok(r.orderId)],
  ["fill or kill", "limit", () => order({ price: near(1.01), timeInForce: "FOK", waitFor: "final" }), (r) => assert.equal(r.state, "filled")],
  ["immediate or cancel", "limit", () => order({ price: near(1.01), timeInForce: "IOC", waitFor: "final" }), (r) => assert.equal(r.state, "filled")],
  ["an amendment", "amend", () => ({ orderId: got.order, price: near(0.91), quantity: 0.012 }), (r) => {
    assert.deepEqual([r.price, r.quantity], [near(0.91), 0.012]);
    got.order = r.orderId;
  }],
  ["a cancel", "cancel", () => ({ clientOrderId: got.order, subAccountId: is.rich }), (r) => {
    assert.equal(r.state, "cancelled");
    got.cancelled = r.orderId;
  }],
  ["a cancel again", "cancel", () => ({ orderId: got.cancelled }), (r) => assert.equal(r.state, "cancelled")],
  ["a scale", "scale", () => ({ ...order({ quantity: undefined }), orders: [0.9, 0.89].map((share) => ({ price: near(share), quantity: 0.01 })) }),
    (r) => assert.deepEqual([r.placed, r.failed, r.total], [2, 0, 2])],
  ["a scale by its other name", "scale", () => ({ ...order({ quantity: undefined, side: "LONG" }), levels: [0.88, 0.87].map((share) => ({ price: near(share), quantity: 0.01 })) }),
    (r) => assert.equal(r.placed, 2)],
  ["cancelling all of a symbol", "cancel_all", () => ({ subAccountId: is.rich, symbol: "BTCUSDT" }), (r) => assert.ok(r.cancelled >= 4, JSON.stringify(r))],
  ["cancelling nothing", "cancel_all", () => ({ subAccountId: is.other }), (r) => assert.equal(r.total, 0)],
  ["a basket", "basket", () => ({ subAccountId: is.rich, basketName: "two", waitFor: "final",
    items: [order(), order({ symbol: "ETH/USDT", side: "SHORT", quantity: 0.2 })].map(({ subAccountId, ...leg }) => leg) }), (r) => {
    assert.deepEqual([r.basketName, r.succeeded, r.total], ["two", 2, 2]);
    got.eth = r.results[1].trade.position.id;
    got.btc = r.results[0].trade.position.id;
  }],
  ["a part of a position", "close", () => ({ positionId: got.btc, fraction: 0.5 }), (r) => {
    assert.equal(r.position.status, "OPEN");
    assert.equal(typeof r.trade.realizedPnl, "number");
  }],
  ["a position at a price", "limit_close", () => ({ positionId: got.btc, price: near(1.05) }), (r) => assert.equal(r.state, "active")],
  ["a chase", "chase", () => order({ stalkOffset: 2, stalkMode: "trail", maxDistance: 5 }), (r) => {
    assert.deepEqual([r.side, r.stalkOffsetPct, r.maxDistancePct, r.stalkMode], ["BUY", 2, 5, "trail"]);
    got.chase = r.chaseId;
  }],
  ["a chase in ticks", "chase", () => order({ side: "LONG", stalkOffsetTicks: 2000 }), (r) => (got.chase2 = r.chaseId)],
  ["a chase instead of another", "chase", () => order({ stalkOffsetPct: 3, replacesId: got.chase2 }), (r) => (got.chase2 = r.chaseId)],
  ["a TWAP", "twap", () => ({ ...order({ quantity: undefined }), totalSize: 2000, lots: 2, durationMinutes: 5 }), (r) => {
    assert.deepEqual([r.totalLots, r.totalSize], [2, 2000]);
    got.twap = r.twapId;
  }],
  ["a basket TWAP", "twap_basket", () => ({ subAccountId: is.rich, basketName: "slow", lots: 2, duration: 5,
    legs: [{ symbol: "BTCUSDT", side: "LONG", sizeUsdt: 2000, leverage: 5 }, { symbol: "ETHUSDT", side: "SELL", sizeUsdt: 2000, leverage: 5 }] }), (r) => {
    assert.equal(r.legs.length, 2);
    got.twapBasket = r.twapBasketId;
  }],
  ["a scalper", "scalper", () => ({ ...order({ quantity: undefined, side: undefined }), startSide: "LONG", childCount: 2, baseOffsetPct: 2, longSizeUsd: 1000, shortSizeUsd: 1000 }), (r) => {
    assert.equal(r.startSide, "LONG");
    assert.equal(r.longSlots[0].leg, "LONG");
    got.scalper = r.scalperId;
  }],
  ["a trailing stop", "trail_stop", () => ({ positionId: got.eth, callbackPct: 10 }), (r) => {
    assert.deepEqual([r.side, r.symbol, r.activated], ["SHORT", "ETHUSDT", true]);
    got.trailStop = r.trailStopId;
  }],
  ...["chase", "twap", "twapBasket", "scalper", "trailStop"].flatMap((kind) => {
    const type = kind.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const named = () => ({ [`${kind}Id`]: got[kind] });
    return [
      [`pausing a ${type}`, `${type}_pause`, named, (r) => assert.equal(r.status, "paused")],
      [`going on with a ${type}`, `${type}_resume`, named, (r) => assert.equal(r.status, "active")],
      [`ending a ${type}`, `${type}_cancel`, named, (r) => assert.equal(r.status, "ended")],
    ];
  }),
  ["closing everything", "close_all", () => ({ subAccountId: is.rich }), (r) => {
    assert.equal(r.closed, r.total);
    assert.ok(r.total >= 2);
  }],
  ["a deposit", "account", () => ({ action: "deposit", subAccountId: is.other, amount: 10.5 }), (r) => assert.equal(r.balance, 100_010.5)],
  ["a withdrawal", "account", () => ({ action: "withdraw", subAccountId: is.other, amount: "10.5" }), (r) => assert.equal(r.balance, 100_000)],
  ["freezing", "account", () => ({ action: "freeze", subAccountId: is.other }), (r) => assert.equal(r.status, "FROZEN")],
  ["unfreezing", "account", () => ({ action: "unfreeze", subAccountId: is.other }), (r) => assert.equal(r.status, "ACTIVE")],
  ["rules", "account", () => ({ action: "set_rules", subAccountId: is.other, maxLeverage: 20 }), (r) => assert.equal(r.action, "set_rules")],
  ["a mode", "account", () => ({ action: "set_mode", subAccountId: is.other, liquidationMode: "INSTANT_CLOSE" }), (r) => assert.equal(r.action, "set_mode")],
  ["a position for the house", "trade", () => order({ subAccountId: is.other, waitFor: "final" }), async (r) => {
    assert.equal(r.state, "filled");
    got.others = await position(is.other);
  }],
  ["a takeover", "account", () => ({ action: "takeover", positionId: got.others }), (r) => assert.equal(r.action, "takeover")],
  ["the trading state of an account", "trading_state", () => ({ state: "reducing", subAccountId: is.other, symbol: "BTC/USDT" }),
    (r) => assert.deepEqual([r.state, r.symbol], ["reducing", "BTCUSDT"])],
  ["trading again", "trading_state", () => ({ state: "active", subAccountId: is.other, symbol: "BTCUSDT" }), (r) => assert.equal(r.state, "active")],
];

/** The id of an account's one position, once the cache has it. */
async function position(account) {
  for (let n = 0; n < 200; n++) {
    const held = (await pms.account(account))?.positions;
    if (held?.length) return held[0].id;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error("there is no position");
}

/** Rows: [code, command, body, field that is named or nothing, the exchange's code that brings it about]. */
const twap = (more) => ({ ...order({ quantity: undefined }), totalSize: 2000, lots: 2, durationMinutes: 5, ...more });
const scalper = (more) => ({ ...order({ quantity: undefined, side: undefined }), startSide: "LONG", baseOffsetPct: 1, longSizeUsd: 1000, ...more });
const refused = [
  ["VALIDATION_FAILED", "trade", () => order({ quantity: 0 }), "quantity"],
  ["VALIDATION_FAILED", "trade", () => order({ side: "UP" }), "side"],
  ["VALIDATION_FAILED", "trade", () => order({ quantity: "NaN" }), "quantity"],
  ["VALIDATION_FAILED", "limit", () => order(), "price"],
  ["VALIDATION_SUBACCOUNT_REQUIRED", "trade", () => order({ subAccountId: undefined }), "subAccountId"],
  ["ACCOUNT_NOT_FOUND", "trade", () => order({ subAccountId: "nobody" })],
  ["ACCOUNT_FROZEN", "trade", () => order({ subAccountId: is.frozen })],
  ["SYMBOL_UNKNOWN", "trade", () => order({ symbol: "NOPEUSDT" }), "symbol"],
  ["SYMBOL_NOT_ALLOWED", "trade", () => order({ subAccountId: is.picky }), "symbol"],
  ["MAX_LEVERAGE_EXCEEDED", "trade", () => order({ subAccountId: is.small, quantity: 0.002, leverage: 25 }), "leverage"],
  ["MAX_NOTIONAL_EXCEEDED", "trade", () => order({ subAccountId: is.small, quantity: 0.1 }), "quantity"],
  ["MAX_EXPOSURE_EXCEEDED", "trade", () => order({ subAccountId: is.small })],
  ["INSUFFICIENT_MARGIN", "trade", () => order({ subAccountId: is.poor }), "quantity"],
  ["REDUCE_ONLY_REJECTED", "trade", () => order({ subAccountId: is.other, reduceOnly: true })],
  ["TRADING_HALTED", "trade", () => order({ subAccountId: is.halted })],
  ["TRADING_REDUCING", "trade", () => order({ subAccountId: is.reducing })],
  ["EXPIRED_COMMAND", "trade", () => order({ expiresAt: Date.now() - 1000 })],
  ["FILTER_QUANTITY", "trade", () => order({ quantity: 0.00001 }), "quantity"],
  ["FILTER_PRICE", "limit", () => order({ price: 100, quantity: 5 }), "price"],
  ["EXCHANGE_MIN_NOTIONAL", "limit", () => order({ symbol: "ETHUSDT", quantity: 0.001, price: 2000 })],
  ["EXCHANGE_POST_ONLY", "limit", () => order({ price: near(1.01), postOnly: true, waitFor: "final" })],
  ["SCALE_INVALID_ORDER", "scale", () => ({ ...order({ quantity: undefined }), orders: [1, 1].map((p) => ({ price: p, quantity: 1 })) }), "orders[1].price"],
  ["SCALE_INVALID_RANGE", "scale", () => ({ ...order({ quantity: undefined }), orders: [{ price: 1, quantity: 1 }] }), "orders"],
  ["VALIDATION_PAYLOAD_TOO_LARGE", "trade", () => order({ note: "x".repeat(70_000) })],
  ["MAX_LEVERAGE", "basket", () => ({ subAccountId: is.small, legs: [{ symbol: "BTCUSDT", side: "BUY", quantity: 0.01, leverage: 50 }] }), "legs[0].leverage"],
  ["MAX_NOTIONAL", "basket", () => ({ subAccountId: is.small, legs: [{ symbol: "BTCUSDT", side: "BUY", quantity: 1, leverage: 5 }] }), "legs[0].quantity"],
  ["POSITION_NOT_FOUND", "close", () => ({ positionId: "none" })],
  ["POSITION_NOT_FOUND", "limit_close", () => ({ positionId: "none", price: 1 })],
  ["POSITION_NOT_FOUND", "trail_stop", () => ({ positionId: "none", callbackPct: 1 })],
  ["POSITION_CLOSED", "close", () => ({ positionId: got.btc })],
  ["VALIDATION_FAILED", "close", () => ({ positionId: got.btc, quantity: 1, fraction: 0.5 }), "fraction"],
  ["ACCOUNT_NOT_FOUND", "close_all", () => ({ subAccountId: "nobody" })],
  ["VALIDATION_CLIENT_ORDER_ID_REQUIRED", "cancel", () => ({ subAccountId: is.rich }), "clientOrderId"],
  ["ORDER_NOT_FOUND", "cancel", () => ({ orderId: "none" })],
  ["ORDER_NOT_FOUND", "amend", () => ({ orderId: "none", price: 1 })],
  ["ORDER_ALREADY_FINAL", "cancel", () => ({ orderId: got.filled })],
  ["ORDER_ALREADY_FINAL", "amend", () => ({ orderId: got.filled, price: near(0.9) })],
  ["OWNERSHIP_FORBIDDEN", "cancel", () => ({ orderId: got.resting, subAccountId: is.other })],
  ["OWNERSHIP_FORBIDDEN", "amend", () => ({ orderId: got.resting, subAccountId: is.other, price: near(0.9) })],
  ["OWNERSHIP_FORBIDDEN", "close", () => ({ positionId: got.held, subAccountId: is.other })],
  ["OWNERSHIP_FORBIDDEN", "limit_close", () => ({ positionId: got.held, subAccountId: is.other, price: near(1.1) })],
  ["OWNERSHIP_FORBIDDEN", "trail_stop", () => ({ positionId: got.held, subAccountId: is.other, callbackPct: 1 })],
  ["OWNERSHIP_FORBIDDEN", "chase_cancel", () => ({ chaseId: got.running, subAccountId: is.other })],
  ["ALGO_ALREADY_EXISTS", "trail_stop", () => ({ positionId: got.held, callbackPct: 2 })],
  ...["chase", "scalper", "twap", "twap_basket", "trail_stop"].flatMap((type) =>
    ["cancel", "pause", "resume"].map((verb) => {
      const id = `${type.replace(/_(.)/g, (_, letter) => letter.toUpperCase())}Id`;
      return ["ALGO_NOT_FOUND", `${type}_${verb}`, () => ({ [id]: "none" })];
    }),
  ),
  ["VALIDATION_FAILED", "chase", () => order({ stalkOffsetPct: 1, stalkOffsetTicks: 5 }), "stalkOffsetTicks"],
  ["ACCOUNT_FROZEN", "chase", () => order({ subAccountId: is.frozen })],
  ["ACCOUNT_NOT_FOUND", "chase", () => order({ subAccountId: "nobody" })],
  ["VALIDATION_TWAP_MISSING_SIZE", "twap", () => twap({ totalSize: undefined })],
  ["VALIDATION_TWAP_LOTS_INVALID", "twap", () => twap({ totalSize: 150, lots: 100 })],
  ["VALIDATION_FAILED", "twap", () => twap({ lots: 1 }), "lots"],
  ["VALIDATION_TWAP_BASKET_LOTS_INVALID", "twap_basket", () => ({ subAccountId: is.rich, lots: 100, durationMinutes: 10, legs: [{ symbol: "BTCUSDT", side: "BUY", sizeUsdt: 150, leverage: 5 }] })],
  ["SCALPER_LAYER_TOO_SMALL", "scalper", () => scalper({ longSizeUsd: 10, childCount: 10 })],
  ["VALIDATION_FAILED", "scalper", () => scalper({ layers: 11 }), "layers"],
  ["ACCOUNT_ALREADY_EXISTS", "account", () => ({ action: "create", name: "again", subAccountId: is.rich })],
  ["ACCOUNT_NOT_FOUND", "account", () => ({ action: "deposit", subAccountId: "nobody", amount: 1 })],
  ["INSUFFICIENT_BALANCE", "account", () => ({ action: "withdraw", subAccountId: is.poor, amount: 1000 })],
  ["HOUSE_UNFUNDED", "account", () => ({ action: "deposit", subAccountId: is.rich, amount: 1e12 })],
  ["POSITION_NOT_FOUND", "account", () => ({ action: "takeover", positionId: "none" })],
  ["VALIDATION_FAILED", "account", () => ({ action: "freeze", subAccountId: is.rich, amount: 1 }), "amount"],
  ["VALIDATION_FAILED", "trading_state", () => ({ state: "off" }), "state"],
  ["EXCHANGE_MARGIN_INSUFFICIENT", "trade", () => order(), undefined, -2019],
  ["EXCHANGE_PRICE_RANGE", "limit", () => resting(), undefined, -4016],
  ["EXCHANGE_MAX_ORDERS", "limit", () => resting(), undefined, -2025],
  ["EXCHANGE_MAX_POSITION", "trade", () => order(), undefined, -2027],
  ["EXCHANGE_INVALID_ORDER", "trade", () => order(), undefined, -1116],
  ["EXCHANGE_SYMBOL", "trade", () => order(), undefined, -4140],
  ["EXCHANGE_PRECISION", "trade", () => order(), undefined, -1111],
  ["EXCHANGE_QTY_TOO_SMALL", "trade", () => order(), undefined, -4003],
  ["EXCHANGE_QTY_TOO_LARGE", "trade", () => order(), undefined, -4005],
  ["EXCHANGE_FOK", "limit", () => order({ price: near(1.01), timeInForce: "FOK" }), undefined, -5021],
  ["EXCHANGE_REDUCE_ONLY", "trade", () => order(), undefined, -2022],
  ["EXCHANGE_UNAVAILABLE", "trade", () => order(), undefined, -1007],
  ["EXCHANGE_REJECTED", "trade", () => order(), undefined, -2010],
];

for (const [what, type, body, check] of succeeds) {
  test(`${type}: ${what}`, async () => {
    const result = await send(type, body());
    assert.equal(result.success, true, JSON.stringify(result));
    assert.equal(typeof result.requestId, "string");
    await check(result);
  });
}

test("flat fields say the same as JSON", async () => {
  const flat = await sendFlat("limit", resting({ postOnly: true }));
  assert.deepEqual([flat.success, flat.state, flat.price], [true, "active", near(0.9)]);
  const levels = await sendFlat("scale", { ...order({ quantity: undefined }), orders: [0.86, 0.85].map((share) => ({ price: near(share), quantity: "0.01" })) });
  assert.equal(levels.placed, 2, JSON.stringify(levels));
});

test("what the refusals need", async () => {
  const filled = await send("trade", order({ waitFor: "final" }));
  got.filled = filled.orderId;
  got.held = await position(is.rich);
  got.resting = (await send("limit", resting())).orderId;
  got.running = (await send("chase", order({ stalkOffsetPct: 5 }))).chaseId;
  assert.equal((await send("trail_stop", { positionId: got.held, callbackPct: 20 })).success, true);
});

for (const [code, type, body, field, venue] of refused) {
  test(`${type}: ${code}${field ? ` (${field})` : ""}`, async () => {
    if (venue !== undefined) await fault(venue);
    const result = refusedAs(code, await send(type, body()));
    if (field) assert.equal(result.errors[0].field, field, JSON.stringify(result));
  });
}

test("an outcome that is not known says how to ask, and is told when it is", async () => {
  const before = await pms.position();
  await fault(-1007);
  await fault(-1000, "order.status", { seconds: 8 });
  const result = await send("trade", order());
  assert.deepEqual([result.errorCode, result.errorCategory], ["AMBIGUOUS_RESULT", "AMBIGUITY"], JSON.stringify(result));
  assert.match(result.error, /a cancel of that id/);
  const { clientOrderId } = result.details;
  const event = await until(pms.events({ after: before }), (e) => e.clientOrderId === clientOrderId && e.type === "order_failed");
  assert.equal(event.errorCode, "EXCHANGE_UNAVAILABLE");
});

test("an order too many", async () => {
  const eth = { symbol: "ETHUSDT", subAccountId: is.picky, quantity: 0.2, price: Math.floor((await pms.price("ETHUSDT")).bid * 0.9) };
  assert.equal((await send("limit", resting(eth))).success, true);
  assert.equal((await send("limit", resting(eth))).errorCode, "MAX_OPEN_ORDERS_EXCEEDED");
  assert.equal((await send("limit", resting({ subAccountId: is.hasty }))).success, true);
  assert.equal((await send("limit", resting({ subAccountId: is.hasty }))).errorCode, "MAX_ORDER_RATE_EXCEEDED");
});

test("a requestId with another body", async () => {
  const requestId = `reused-${Date.now()}`;
  assert.equal((await send("limit", resting({ requestId }))).success, true);
  assert.equal((await send("limit", resting({ requestId, quantity: 0.02 }))).errorCode, "REQUEST_ID_REUSED");
});

test("no JSON at all is answered where an id can be found", async () => {
  const requestId = `broken-${Date.now()}`;
  await call(at.redis, "XADD", `${at.namespace}:cmd:trade`, "*", "data", `{"requestId":"${requestId}", nonsense`);
  const result = await answer(requestId);
  answered.push(["trade", result]);
  refusedAs("VALIDATION_NOT_JSON", result);
});

test("everything ends", async () => {
  for (const account of [is.rich, is.picky, is.hasty]) assert.equal((await send("close_all", { subAccountId: account })).success, true);
  assert.equal((await send("cancel_all", { subAccountId: is.rich, includeAlgos: true })).success, true);
});
