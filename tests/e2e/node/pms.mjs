// The least a JS backend needs: send a command and await its result, follow the event log. Nothing but Redis.
import Redis from "ioredis";
import { randomUUID } from "node:crypto";

export class Pms {
  constructor(url, namespace = "pms") {
    this.namespace = namespace;
    this.redis = new Redis(url);
    this.subscriber = new Redis(url);
    this.waiting = new Map();
    this.published = []; // what pub/sub said, in order
    this.subscriber.on("message", (channel, text) => this.waiting.get(channel)?.(JSON.parse(text)));
    this.subscriber.on("pmessage", (_, channel, text) => this.published.push([channel, text]));
  }

  async open() {
    await this.subscriber.psubscribe(`${this.namespace}:events:*`);
  }

  /** XADD one command and resolve with its result, which is published on, and kept under, its own key. */
  async send(type, body, { stream = "cmd", flat = false, timeoutMs = 10_000 } = {}) {
    const requestId = body.requestId ?? randomUUID();
    const key = `${this.namespace}:result:${requestId}`;
    const answer = new Promise((resolve) => this.waiting.set(key, resolve));
    await this.subscriber.subscribe(key);
    const command = { requestId, ...body };
    const fields = flat ? Object.entries(command).flat().map(String) : ["data", JSON.stringify(command)];
    await this.redis.xadd(`${this.namespace}:${stream}:${type}`, "*", ...fields);
    const late = new Promise((_, reject) =>
      setTimeout(() => reject(new Error(`no result for ${type} ${requestId} in ${timeoutMs} ms`)), timeoutMs).unref(),
    );
    try {
      return await Promise.race([answer, late]);
    } finally {
      this.waiting.delete(key);
      await this.subscriber.unsubscribe(key);
    }
  }

  operate(type, body) {
    return this.send(type, body, { stream: "op" });
  }

  /** All events after `after`, from the durable log. */
  async events(after = "-") {
    const start = after === "-" ? "-" : `(${after}`;
    const entries = await this.redis.xrange(`${this.namespace}:events`, start, "+");
    return entries.map(([id, fields]) => ({ id, type: fields[1], data: JSON.parse(fields[3]) }));
  }

  /** Wait until the log holds an event that `wanted` accepts. */
  async until(wanted, timeoutMs = 10_000) {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const found = (await this.events()).find(({ data }) => wanted(data));
      if (found) return found.data;
      if (Date.now() > end) throw new Error(`no such event in ${timeoutMs} ms: ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** A cache, once `wanted` accepts it: caches follow events by a quarter of a second. */
  async cached(key, wanted, timeoutMs = 2_000) {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const value = JSON.parse(await this.redis.get(`${this.namespace}:${key}`));
      if (value !== null && wanted(value)) return value;
      if (Date.now() > end) throw new Error(`${key} stays ${JSON.stringify(value)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  close() {
    this.redis.disconnect();
    this.subscriber.disconnect();
  }
}
