// The commands that make or end several orders: scale, amend, basket, a close over a resting closer, close_all.
import { Pms } from "./pms.mjs";

const pms = new Pms(process.env.PMS_REDIS_URL, process.env.PMS_NAMESPACE);
await pms.open();
const report = { results: {}, events: [] };
const step = async (name, promise) => (report.results[name] = await promise);

const created = await step("create", pms.operate("account", { action: "create", name: "orders", balance: 5000 }));
const subAccountId = created.subAccountId;
const rules = { maxNotionalPerTrade: 100000, maxTotalExposure: 100000, maxOrdersPerMinute: 100, maxDailyLoss: 1000 };
await step("rules", pms.operate("account", { action: "set_rules", subAccountId, ...rules }));
const { bid } = JSON.parse(await pms.redis.get(`${pms.namespace}:price:BTCUSDT`));
const order = { subAccountId, symbol: "BTCUSDT", leverage: 10 };
const near = (share) => Math.floor(bid * share);

const orders = [0.98, 0.97].map((share) => ({ price: near(share), quantity: 0.01 }));
await step("scale", pms.send("scale", { ...order, side: "LONG", orders }));
const orderId = report.results.scale.results[0].orderId;
await step("amend", pms.send("amend", { subAccountId, orderId, price: near(0.975), quantity: 0.012 }));

const legs = [{ symbol: "BTC/USDT:USDT", side: "LONG", quantity: 0.02, leverage: 5 }];
await step("basket", pms.send("basket", { subAccountId, basketName: "one", legs, waitFor: "final" }));
const positionId = report.results.basket.results[0].trade.position.id;
await step("limitClose", pms.send("limit_close", { positionId, price: near(1.02) }));
await step("close", pms.send("close", { positionId, fraction: 0.5 }));
await step("closeAll", pms.send("close_all", { subAccountId }));
await step("closeAllAgain", pms.send("close_all", { subAccountId }));
await step("closeClosed", pms.send("close", { positionId }));
await new Promise((resolve) => setTimeout(resolve, 200));

report.events = (await pms.events()).map(({ type, data }) => ({ type, data }));
console.log(JSON.stringify(report));
pms.close();
