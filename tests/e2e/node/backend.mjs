// A backend that trades on PMS_ACCOUNTS and follows all events, whatever happens, until the file PMS_UNTIL is there.
// Prints what it asked for, what it was told of each request, and the events it read.
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MissedEvents } from "pms-client";
import { close, open } from "./redis.mjs";

const PACE_MS = 50;
const PATIENCE_MS = 60_000;
const accounts = process.env.PMS_ACCOUNTS.split(",");
const at = await open();
const { pms } = at;
const sent = {};
const results = {};
const events = [];
const ended = new AbortController();

// Events that are gone, or a Redis with another life: start cold, as the contract says.
async function follow(after) {
  while (!ended.signal.aborted) {
    try {
      for await (const event of pms.events({ after, signal: ended.signal })) events.push(event);
    } catch (error) {
      if (!(error instanceof MissedEvents)) throw error;
      ({ after } = await pms.snapshot());
    }
  }
}

// An outcome that is not known is asked for with the same requestId, as the contract says.
async function surely(type, body) {
  for (const until = Date.now() + PATIENCE_MS; ; await sleep(500)) {
    try {
      return await pms.send(type, body, { timeoutMs: 5_000 });
    } catch (error) {
      const unknown = ["INFRA_TIMEOUT", "INFRA_REDIS_UNAVAILABLE"].includes(error.errorCode);
      if (!unknown) return error.result;
      if (Date.now() > until) return null;
    }
  }
}

const following = follow(await pms.position());
const { bid } = await pms.price("BTCUSDT");
const running = [];
for (let n = 0; !existsSync(process.env.PMS_UNTIL); n++, await sleep(PACE_MS)) {
  const requestId = `backend-${process.pid}-${n}`;
  const subAccountId = accounts[n % accounts.length];
  const body = { requestId, subAccountId, symbol: "BTCUSDT", leverage: 10, side: Math.floor(n / 3) % 2 ? "BUY" : "SELL" };
  const rests = n % 5 === 4;
  const type = rests ? "limit" : "trade";
  const more = rests ? { side: "BUY", quantity: 0.002, price: Math.floor(bid * 0.98) - (n % 50) } : { quantity: 0.001 * (1 + (n % 3)) };
  sent[requestId] = [subAccountId, type];
  running.push(surely(type, { ...body, ...more }).then((result) => (results[requestId] = result)));
}
await Promise.all(running);
await sleep(2_000);
ended.abort();
await following;
await close(at);
console.log(JSON.stringify({ sent, results, events }));
