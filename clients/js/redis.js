// The one place that knows ioredis and redis (node-redis) apart. All else asks with the words of a Redis command.

/** A connection as this package needs it. */
export function adapt(client) {
  if (typeof client?.xAdd === "function" && typeof client.sendCommand === "function") return new NodeRedis(client);
  if (typeof client?.xadd === "function" && typeof client.call === "function") return new Ioredis(client);
  throw new TypeError("expected a client of ioredis or of redis (node-redis)");
}

/** What the server answers as a map, as a list of pairs: libraries and protocols give it several forms. */
export function pairs(reply) {
  if (reply instanceof Map) return [...reply];
  if (!Array.isArray(reply)) return Object.entries(reply ?? {});
  if (Array.isArray(reply[0])) return reply;
  return Array.from({ length: reply.length / 2 }, (_, i) => [reply[2 * i], reply[2 * i + 1]]);
}

/** Whether the server has said no for good: everything else is a connection that comes back. */
export function isFinal(error) {
  return /^(ERR|NOAUTH|NOPERM|WRONGPASS|WRONGTYPE) /.test(error?.message ?? "");
}

class Ioredis {
  #client;
  #listeners = new Map();

  constructor(client) {
    this.#client = client;
  }

  /** It connects by itself. */
  async open() {
    this.#client.on("message", (channel, text) => this.#listeners.get(channel)?.(text));
    return this;
  }

  call(...words) {
    return this.#client.call(...words);
  }

  /** Whom to ask for what no key tells the place of: in a cluster every master. */
  nodes() {
    return this.#client.isCluster ? this.#client.nodes("master").map((node) => new Ioredis(node)) : [this];
  }

  async subscribe(channel, listener) {
    this.#listeners.set(channel, listener);
    await this.#client.subscribe(channel);
  }

  async unsubscribe(channel) {
    this.#listeners.delete(channel);
    await this.#client.unsubscribe(channel);
  }

  /** Another connection of the same kind. What goes wrong with it is told by the client that was given, if asked. */
  duplicate() {
    const copy = this.#client.duplicate({ maxRetriesPerRequest: null });
    copy.on("error", (error) => {
      if (this.#client.listenerCount("error")) this.#client.emit("error", error); // without a listener it would throw
    });
    return new Ioredis(copy).open();
  }

  close() {
    this.#client.disconnect();
  }
}

class NodeRedis {
  #client;

  constructor(client) {
    this.#client = client;
  }

  async open() {
    if (!this.#client.isOpen) await this.#client.connect();
    return this;
  }

  call(...words) {
    return this.#client.sendCommand(words.map(String));
  }

  nodes() {
    return [this];
  }

  async subscribe(channel, listener) {
    await this.#client.subscribe(channel, listener);
  }

  async unsubscribe(channel) {
    await this.#client.unsubscribe(channel);
  }

  duplicate() {
    const copy = this.#client.duplicate();
    copy.on("error", (error) => this.#client.emit("error", error));
    return new NodeRedis(copy).open();
  }

  close() {
    if (!this.#client.isOpen) return;
    if (this.#client.destroy) this.#client.destroy();
    else this.#client.disconnect().catch(() => {}); // version 4: a promise that nobody waits for
  }
}
