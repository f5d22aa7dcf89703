// One trading session of a JS backend: account, market order, limit, cancel, chase, close. Prints what it saw as JSON.
import { Pms } from "./pms.mjs";

const pms = new Pms(process.env.PMS_REDIS_URL, process.env.PMS_NAMESPACE);
await pms.open();
const report = { results: {}, events: [], published: [], price: null, risk: null };
const step = async (name, promise) => (report.results[name] = await promise);

const created = await step("create", pms.operate("account", { action: "create", name: "node", balance: 5000 }));
const subAccountId = created.subAccountId ?? created.account?.subAccountId ?? created.account?.id;
await step("deposit", pms.operate("account", { action: "deposit", subAccountId, amount: 250.5 }));
await step(
  "rules",
  pms.operate("account", { action: "set_rules", subAccountId, maxNotionalPerTrade: 100000, maxTotalExposure: 100000 }),
);
const order = { subAccountId, symbol: "BTCUSDT", side: "BUY", leverage: 10 };

await step("trade", pms.send("trade", { ...order, quantity: 0.01, requestId: "node-trade-1" }));
await pms.until((e) => e.type === "order_filled" && e.clientOrderId === report.results.trade.clientOrderId);
await step("tradeAgain", pms.send("trade", { ...order, quantity: 0.01, requestId: "node-trade-1" }));
await step("tradeReused", pms.send("trade", { ...order, quantity: 0.02, requestId: "node-trade-1" }));

const price = (report.price = JSON.parse(await pms.redis.get(`${pms.namespace}:price:BTCUSDT`)));
const far = Math.floor(price.bid * 0.98);
await step("limit", pms.send("limit", { ...order, quantity: 0.01, price: far }, { flat: true }));
await pms.until((e) => e.type === "order_active" && e.clientOrderId === report.results.limit.clientOrderId);
await step("cancel", pms.send("cancel", { orderId: report.results.limit.orderId, subAccountId }));
await pms.until((e) => e.type === "order_cancelled" && e.clientOrderId === report.results.limit.clientOrderId);
await step("cancelAgain", pms.send("cancel", { orderId: report.results.limit.orderId, subAccountId }));

await step("chase", pms.send("chase", { ...order, quantity: 0.01, stalkOffsetPct: 0.5, stalkMode: "maintain" }));
await pms.until((e) => e.type === "chase_progress" && e.chaseId === report.results.chase.chaseId);
await step("chaseCancel", pms.send("chase_cancel", { chaseId: report.results.chase.chaseId, subAccountId }));
await pms.until((e) => e.type === "chase_cancelled" && e.chaseId === report.results.chase.chaseId);

await step("badQuantity", pms.send("trade", { ...order, quantity: -1 }));
await step("badSide", pms.send("trade", { ...order, quantity: 1, side: "UP" }));
await step("tooLarge", pms.send("trade", { ...order, quantity: 500 }));

const held = (await pms.until((e) => e.type === "position_updated" && e.subAccountId === subAccountId)).positionId;
report.risk = await pms.cached(`risk:${subAccountId}`, (risk) => risk.positions.length > 0);
await step("close", pms.send("close", { positionId: held, subAccountId }));
await pms.until((e) => e.type === "position_closed" && e.subAccountId === subAccountId);
await new Promise((resolve) => setTimeout(resolve, 200));

report.subAccountId = subAccountId;
report.events = (await pms.events()).map(({ id, type, data }) => ({ id, type, data }));
report.published = pms.published;
console.log(JSON.stringify(report));
pms.close();
