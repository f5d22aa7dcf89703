// How values are written. Pure.

const amount = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "negative" });
const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 8 });
const significant = new Intl.NumberFormat("en", { maximumSignificantDigits: 8 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export const money = (value) => (isNumber(value) ? amount.format(value) : "–");
export const number = (value) => (isNumber(value) ? exact.format(value) : value ?? "–");
export const price = (value) => (isNumber(value) ? significant.format(value) : "–");
export const integer = (value) => (isNumber(value) ? whole.format(value) : "–");
export const percent = (share, digits = 1) => (isNumber(share) ? `${(share * 100).toFixed(digits)} %` : "–");
// The name of an account; "*" stands for all of them in events.
export const nameOf = (names, id) => names.get(id) || (id && id !== "*" ? id : "all accounts");
export const time = (ms) => new Date(ms).toLocaleTimeString("en-GB");

export function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toPrecision(seconds < 0.1 ? 2 : 3)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export function bytes(value) {
  return isNumber(value) ? `${Math.round(value / 1048576)} MB` : "–";
}
