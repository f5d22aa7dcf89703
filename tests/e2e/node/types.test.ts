// Does not run: what the compiler accepts, and what it must not.
import { Redis } from "ioredis";
import { connect, PmsError, type AlgoItem, type PmsEvent } from "pms-client";
import { createClient } from "redis";

const pms = await connect(new Redis());
await connect(createClient(), { namespace: "pms" });

const order = await pms.send("trade", {
  subAccountId: "a",
  symbol: "BTCUSDT",
  side: "LONG",
  quantity: "0.001",
  leverage: 10,
  waitFor: "final",
});
const filled: number | null | undefined = order.filledQty;
const chase = await pms.send("chase", { subAccountId: "a", symbol: "B", side: "BUY", quantity: 1, leverage: 1 });
await pms.send("chase_cancel", { chaseId: chase.chaseId });
await pms.send("account", { action: "create", name: "alice", balance: 1 });

// @ts-expect-error a side that is none
await pms.send("trade", { subAccountId: "a", symbol: "B", side: "UP", quantity: 1, leverage: 1 });
// @ts-expect-error the account is required
await pms.send("trade", { symbol: "B", side: "BUY", quantity: 1, leverage: 1 });
// @ts-expect-error no such command
await pms.send("nothing", {});

for await (const event of pms.events({ after: "0-0" })) told(event);

function told(event: PmsEvent): number {
  if (event.type === "order_filled") return event.account.balance + event.price;
  // @ts-expect-error not every event has it
  return event.fillPrice;
}

const algos: Record<string, AlgoItem> = await pms.algos("a");
const code: string = new PmsError({} as never).errorCode;
export { algos, code, filled };
