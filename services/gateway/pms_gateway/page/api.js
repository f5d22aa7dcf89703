// The gateway's door as this page uses it: GET, POST and the socket of events.
//
// Owns the token, for this tab alone, and where in the event log the page has come to.

const WAIT_MS = 20_000; // longer than the gateway itself waits for the result of a command

let token = sessionStorage.getItem("pms.token") || "";

export class Refused extends Error {
  constructor(status, body) {
    super(body.error || `The gateway answered ${status}.`);
    this.status = status;
  }
}

export function setToken(given) {
  token = given;
  sessionStorage.setItem("pms.token", given);
}

async function ask(path, options = {}) {
  const headers = token ? { ...options.headers, Authorization: `Bearer ${token}` } : options.headers;
  const answer = await fetch(path, { ...options, headers, signal: AbortSignal.timeout(WAIT_MS) });
  const body = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

export const get = (path) => ask(path);

export const ready = async () => (await fetch("/ready", { signal: AbortSignal.timeout(5_000) })).json();

export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const list = async (name) => (await get(`/v1/${name}`))[name];

// Events of the last seconds, then as they come, for as long as the page lives; after a loss from where it left off.
// `told(state, reason)`: live or lost.
export function listen(onEvent, told) {
  const LONGEST_PAUSE_MS = 8_000;
  const BEFORE_MS = 20_000;
  let last = `${Date.now() - BEFORE_MS}-0`;
  let pause_ms = 500;
  const open = () => {
    const url = `${location.origin.replace(/^http/, "ws")}/v1/events?after=${last}`;
    const socket = new WebSocket(url, token ? ["pms.events", `bearer.${token}`] : ["pms.events"]);
    socket.onopen = () => {
      pause_ms = 500;
      told("live", "");
    };
    socket.onmessage = (message) => {
      const event = JSON.parse(message.data);
      last = event.eventId;
      onEvent(event);
    };
    socket.onclose = (event) => {
      told("lost", event.reason);
      setTimeout(open, pause_ms);
      pause_ms = Math.min(pause_ms * 2, LONGEST_PAUSE_MS);
    };
  };
  open();
}
