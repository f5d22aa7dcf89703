// Commands, results, events and caches of PMS, over a Redis client that you bring: ioredis or redis (node-redis).
import { randomUUID } from "node:crypto";
import { adapt, isFinal, pairs } from "./redis.js";

const OPERATORS_ONLY = new Set(["account", "trading_state"]);
const LOOK_MS = 1_000; // a result that was published while the connection was away is found under its key
const AGAIN_MS = 500;
const START = "0-0";

/** A command was refused, or has failed: `errorCategory` says what to do, `errorCode` what it was. */
export class PmsError extends Error {
  constructor(result, options) {
    super(result.error, options);
    this.name = "PmsError";
    const { requestId, errorCode, errorCategory, retryable, errors = [], details } = result;
    Object.assign(this, { requestId, errorCode, errorCategory, retryable, errors, details, result });
  }
}

/** Events were missed, or Redis was lost: start cold, with `snapshot()`. */
export class MissedEvents extends Error {
  constructor(why, after) {
    super(`${why}: start cold`);
    this.name = "MissedEvents";
    this.after = after;
  }
}

/** Opens what is needed beside `client`, which stays yours to close. */
export async function connect(client, { namespace = "pms", feedNamespace = namespace, traceparent } = {}) {
  const redis = await adapt(client).open();
  return new Pms(redis, await redis.duplicate(), namespace, feedNamespace, traceparent);
}

class Pms {
  #redis;
  #results;
  #namespace;
  #feed;
  #traceparent;
  #readers = new Set();
  #closed = false;

  constructor(redis, results, namespace, feedNamespace, traceparent = () => undefined) {
    this.#redis = redis;
    this.#results = results; // a connection that subscribes can do nothing else
    this.#namespace = namespace;
    this.#feed = feedNamespace;
    this.#traceparent = traceparent;
  }

  async send(type, body, { timeoutMs = 15_000 } = {}) {
    const requestId = body.requestId ?? randomUUID();
    const stream = `${this.#namespace}:${OPERATORS_ONLY.has(type) ? "op" : "cmd"}:${type}`;
    const key = `${this.#namespace}:result:${requestId}`;
    const data = JSON.stringify({ traceparent: this.#traceparent(), ...body, requestId });
    let text;
    try {
      let tell;
      const told = new Promise((resolve) => (tell = resolve));
      await this.#results.subscribe(key, tell); // first, so that nothing is missed
      await this.#redis.call("XADD", stream, "*", "data", data);
      text = await this.#wait(told, key, timeoutMs);
    } catch (cause) {
      if (isFinal(cause)) throw cause;
      throw new PmsError(failure(requestId, "INFRA_REDIS_UNAVAILABLE", "INFRA", "Redis did not confirm it"), { cause });
    } finally {
      this.#results.unsubscribe(key).catch(() => {}); // a lost connection has no subscriptions
    }
    if (!text) throw new PmsError(failure(requestId, "INFRA_TIMEOUT", "TIMEOUT", `No answer within ${timeoutMs} ms`));
    const result = JSON.parse(text);
    if (!result.success) throw new PmsError(result);
    return result;
  }

  async *events({ after, signal } = {}) {
    let last = after ?? (await this.position());
    let epoch = await this.#epochAt(last);
    const seen = new Map();
    const reader = await this.#redis.duplicate();
    const stop = () => reader.close();
    this.#readers.add(reader);
    signal?.addEventListener("abort", stop, { once: true });
    try {
      while (!signal?.aborted && !this.#closed) {
        for (const [id, event] of await this.#read(reader, last)) {
          if (epoch !== null && event.epoch !== epoch) throw new MissedEvents("Redis was lost or restored", last);
          const before = seen.get(event.subAccountId);
          if (before !== undefined && event.seq !== before + 1) throw new MissedEvents("Events are gone", last);
          seen.set(event.subAccountId, event.seq);
          epoch = event.epoch;
          last = id;
          yield event;
        }
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#readers.delete(reader);
      reader.close();
    }
  }

  async position() {
    const [newest] = await this.#redis.call("XREVRANGE", `${this.#namespace}:events`, "+", "-", "COUNT", 1);
    return newest?.[0] ?? START;
  }

  async snapshot() {
    const after = await this.position(); // before the caches: what they know already changes nothing
    const accounts = [];
    for (const key of await this.#keys(`${this.#namespace}:risk:*`)) {
      const account = await this.#json(key);
      if (account) accounts.push(account);
    }
    return { after, accounts };
  }

  price(symbol) {
    return this.#json(`${this.#feed}:price:${symbol}`);
  }

  account(subAccountId) {
    return this.#json(`${this.#namespace}:risk:${subAccountId}`);
  }

  async algos(subAccountId) {
    const found = pairs(await this.#redis.call("HGETALL", `${this.#namespace}:algos:${subAccountId}`));
    return Object.fromEntries(found.map(([id, text]) => [id, JSON.parse(text)]));
  }

  async close() {
    this.#closed = true;
    this.#results.close();
    for (const reader of this.#readers) reader.close();
  }

  async #wait(told, key, timeoutMs) {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const left = end - Date.now();
      let timer;
      const later = new Promise((resolve) => (timer = setTimeout(resolve, Math.max(0, Math.min(left, LOOK_MS)))));
      const text = await Promise.race([told, later]);
      clearTimeout(timer);
      const found = text ?? (await this.#redis.call("GET", key).catch(() => null)); // told at the end as no answer
      if (found || left <= 0) return found;
    }
  }

  /** The next events after `last`; none after a while, or while the connection is away. */
  async #read(reader, last) {
    const log = `${this.#namespace}:events`;
    let reply;
    try {
      reply = await reader.call("XREAD", "COUNT", 500, "BLOCK", 5_000, "STREAMS", log, last);
    } catch (error) {
      if (isFinal(error)) throw error;
      if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    if (!reply) return [];
    const [[, entries]] = pairs(reply);
    return entries.map(([id, fields]) => [id, JSON.parse(new Map(pairs(fields)).get("data"))]);
  }

  /** The epoch of the event to read on from; null where none has been read yet. */
  async #epochAt(id) {
    if (id === START) return null;
    const [entry] = await this.#redis.call("XRANGE", `${this.#namespace}:events`, id, id);
    if (!entry) throw new MissedEvents(`The log no longer has ${id}`, id);
    return JSON.parse(new Map(pairs(entry[1])).get("data")).epoch;
  }

  async #keys(pattern) {
    const found = new Set();
    for (const node of this.#redis.nodes()) {
      let cursor = "0";
      do {
        const [next, keys] = await node.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1_000);
        for (const key of keys) found.add(key);
        cursor = String(next);
      } while (cursor !== "0");
    }
    return found;
  }

  async #json(key) {
    return JSON.parse(await this.#redis.call("GET", key));
  }
}

/** What the client itself has to tell, in the form of a result. */
function failure(requestId, errorCode, errorCategory, why) {
  const error = `${why}; send the same command again with requestId ${requestId}: it is not executed twice`;
  const errors = [{ code: errorCode, message: error }];
  return { success: false, requestId, error, errorCode, errorCategory, retryable: true, errors };
}
