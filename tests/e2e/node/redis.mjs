// A connection of either library, as PMS_TEST_REDIS says: what the tests of the client are run with.
import Redis from "ioredis";
import { connect } from "pms-client";
import { createClient } from "redis";

export const LIBRARY = process.env.PMS_TEST_REDIS ?? "ioredis";
const namespace = process.env.PMS_NAMESPACE ?? "pms";

/** What ioredis makes of redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/0?sentinel_password=…. */
function sentinels(url) {
  const [, user, password, places, name, sentinelPassword] =
    /^redis\+sentinel:\/\/(.*?):(.*?)@(.*?)\/(.*?)\/0\?sentinel_password=(.*)$/.exec(url);
  const hosts = places.split(",").map((place) => place.split(":")).map(([host, port]) => ({ host, port: Number(port) }));
  return { sentinels: hosts, name, username: user, password, sentinelPassword };
}

/** An open client of the library. */
export async function redisClient(url = process.env.PMS_REDIS_URL) {
  if (LIBRARY === "ioredis") return new Redis(url.startsWith("redis+sentinel:") ? sentinels(url) : url);
  return createClient({ url }).on("error", () => {}).connect();
}

/** A client that may do everything: to break what others use. */
export const adminClient = () => redisClient(process.env.PMS_TEST_ADMIN_URL);

/** Any command, in either library. */
export const call = (client, ...words) =>
  LIBRARY === "ioredis" ? client.call(...words) : client.sendCommand(words.map(String));

export async function open() {
  const redis = await redisClient();
  return { redis, pms: await connect(redis, { namespace }), namespace };
}

export async function close({ redis, pms }) {
  await pms.close();
  end(redis);
}

export const end = (client) => (LIBRARY === "ioredis" ? client.disconnect() : client.destroy());

/** A new account with rules wide enough, unless others are given. */
export async function newAccount(pms, { balance = 100_000, ...rules } = {}) {
  const name = `js-${Date.now()}-${Math.random().toString(36).slice(2, 8)}`;
  const { subAccountId } = await pms.send("account", { action: "create", name, balance });
  const wide = { maxNotionalPerTrade: 1_000_000, maxTotalExposure: 1_000_000, maxOpenOrders: 500 };
  await pms.send("account", { action: "set_rules", subAccountId, ...wide, ...rules });
  return subAccountId;
}

/** The first event that `wanted` accepts. */
export async function until(events, wanted) {
  for await (const event of events) if (wanted(event)) return event;
  throw new Error("the events have ended");
}
