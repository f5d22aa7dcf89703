// What the tables share: sending with a record of every answer, and hands on the simulated exchange.
// The record, with all events since, goes into a file (PMS_TEST_REPORT): it is then held against the JSON Schemas.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { PmsError } from "pms-client";
import { call, close, open } from "./redis.mjs";

/** Opens the client. `accounts` (by any name) are those whose events have to be without holes. */
export async function recorded(accounts) {
  const at = await open();
  const { pms, redis, namespace } = at;
  const start = await pms.position();
  const answered = []; // [command, its result]

  /** Sends; the result, whether or not it is a success. */
  async function send(type, body, options) {
    const result = await pms.send(type, body, options).catch((error) => {
      if (error instanceof PmsError) return error.result;
      throw error;
    });
    answered.push([type, result]);
    return result;
  }

  async function report() {
    const entries = await call(redis, "XRANGE", `${namespace}:events`, `(${start}`, "+");
    const events = entries.map(([, fields]) => JSON.parse(fields[fields.indexOf("data") + 1]));
    await writeFile(process.env.PMS_TEST_REPORT, JSON.stringify({ answered, events, accounts: Object.values(accounts) }));
    await close(at);
  }

  return { at, pms, answered, send, report };
}

/** The result, if it is this failure and has what every failure has. */
export function refusedAs(code, result) {
  assert.equal(result.success, false, JSON.stringify(result));
  assert.equal(result.errorCode, code, JSON.stringify(result));
  assert.equal(typeof result.error, "string");
  assert.ok(result.error.length > 0 && result.errors.length > 0);
  return result;
}

/** The exchange answers with one of its codes instead. */
export const fault = (code, operation = "order.place", more = { count: 1 }) =>
  exchange("faults", { kind: "error", code, operation, ...more });

/** A control route of the simulated exchange. */
export async function exchange(route, body, method = "POST") {
  const answer = await fetch(`${process.env.PMS_TEST_SIM}/sim/${route}`, { method, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
}
