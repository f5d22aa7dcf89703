// The client of clients/js against a running system.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect, MissedEvents, PmsError } from "pms-client";
import { adminClient, call, close, end, newAccount, open, until } from "./redis.mjs";

let admin, at, pms, redis, subAccountId, trade;

before(async () => {
  at = await open();
  admin = await adminClient();
  ({ pms, redis } = at);
  subAccountId = await newAccount(pms);
  trade = { subAccountId, symbol: "BTCUSDT", side: "BUY", quantity: 0.002, leverage: 10 };
});
after(async () => {
  await close(at);
  end(admin);
});

test("a command resolves with its result, and the same requestId with the same", async () => {
  const requestId = `twice-${Date.now()}`;
  const first = await pms.send("trade", { ...trade, requestId, waitFor: "final" });
  assert.equal(first.state, "filled");
  assert.deepEqual(await pms.send("trade", { ...trade, requestId, waitFor: "final" }), first);
});

test("a refusal rejects with all that the result says", async () => {
  await assert.rejects(pms.send("trade", { ...trade, quantity: -1 }), (error) => {
    assert.ok(error instanceof PmsError);
    assert.deepEqual([error.errorCode, error.errorCategory, error.retryable], ["VALIDATION_FAILED", "VALIDATION", false]);
    assert.equal(error.errors[0].field, "quantity");
    assert.equal(error.message, error.result.error);
    return true;
  });
});

test("a command carries the trace context of the moment, unless its body has one", async () => {
  const [moment, own] = ["4b", "5b"].map((byte) => `00-${byte.repeat(16)}-${byte.repeat(8)}-00`);
  const traced = await connect(redis, { namespace: at.namespace, traceparent: () => moment });
  assert.equal((await traced.send("validate", trade)).traceparent, moment);
  assert.equal((await traced.send("validate", { ...trade, traceparent: own })).traceparent, own);
  await traced.close();
  assert.ok(!("traceparent" in (await pms.send("validate", trade))));
});

test("without an answer it says how to ask", async () => {
  const requestId = `none-${Date.now()}`;
  await assert.rejects(pms.send("no_such_type", { requestId }, { timeoutMs: 50 }), { errorCode: "INFRA_TIMEOUT", requestId });
});

test("a result that was told while nobody could listen is found under its key", async () => {
  const requestId = `late-${Date.now()}`;
  await call(admin, "SET", `${at.namespace}:result:${requestId}`, JSON.stringify({ success: true, requestId }), "EX", "30");
  assert.deepEqual(await pms.send("no_such_type", { requestId }), { success: true, requestId });
});

// As the refusal says: again with the same requestId, for the connection it went by may have been the lost one.
async function surely(type, body) {
  const requestId = `surely-${Date.now()}`;
  for (let left = 5; ; left--) {
    try {
      return await pms.send(type, { ...body, requestId });
    } catch (error) {
      if (error.errorCode !== "INFRA_REDIS_UNAVAILABLE" || !left) throw error;
      await new Promise((done) => setTimeout(done, 200));
    }
  }
}

test("events go on from an id and after lost connections, and miss nothing", async () => {
  const start = await pms.position();
  const sent = [];
  const stop = new AbortController();
  const seen = [];
  const following = (async () => {
    for await (const event of pms.events({ after: start, signal: stop.signal })) seen.push(event);
  })();
  for (let n = 0; n < 6; n++) {
    sent.push((await surely("trade", { ...trade, side: n % 2 ? "SELL" : "BUY" })).clientOrderId);
    if (n === 2) await call(admin, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    if (n === 4) await call(admin, "CLIENT", "KILL", "TYPE", "pubsub");
  }
  const last = await until(pms.events({ after: start }), (e) => e.type === "order_filled" && e.clientOrderId === sent.at(-1));
  for (let n = 0; n < 200 && seen.at(-1)?.eventId < last.eventId; n++) await new Promise((done) => setTimeout(done, 50));
  stop.abort();
  await following;
  const log = await call(redis, "XRANGE", `${at.namespace}:events`, `(${start}`, seen.at(-1).eventId);
  assert.deepEqual(seen.map((event) => event.eventId), log.map(([id]) => id));
  const filled = seen.filter((event) => event.type === "order_filled").map((event) => event.clientOrderId);
  assert.deepEqual(sent.filter((id) => !filled.includes(id)), []);
});

test("events that are gone are not passed over", async () => {
  await assert.rejects(pms.events({ after: "1-1" }).next(), MissedEvents);
});

test("a cold start knows every account, and where to go on", async () => {
  const { after: position, accounts } = await pms.snapshot();
  assert.ok(accounts.some((account) => account.subAccountId === subAccountId));
  await pms.send("trade", trade);
  const event = await until(pms.events({ after: position }), (e) => e.subAccountId === subAccountId);
  assert.ok(event.eventId > position);
});

test("the caches", async () => {
  const price = await pms.price("BTCUSDT");
  assert.ok(price.bid > 0 && price.ask >= price.bid);
  assert.equal(await pms.price("NONE"), null);
  const chase = { ...trade, quantity: 0.01, stalkOffsetPct: 2 };
  const { chaseId } = await pms.send("chase", chase);
  assert.equal((await pms.algos(subAccountId))[chaseId].symbol, "BTCUSDT");
  await pms.send("chase_cancel", { chaseId });
  assert.deepEqual(await pms.algos(subAccountId), {});
  assert.equal((await pms.account(subAccountId)).subAccountId, subAccountId);
});
