// The small chart of an algo: the price it follows, its own order or trigger, and the extreme of a trailing stop.
//
// Owns the newest points of each line, by algo. What happened before the page was opened is not known.

const POINTS = 180;
const WIDTH = 300;
const HEIGHT = 60;
const NAMES = ["price", "own", "extreme"];
const SVG = "http://www.w3.org/2000/svg";

const points = new Map();

// values: {price, own, extreme}, any of them null.
export function note(id, values) {
  const line = points.get(id) ?? points.set(id, []).get(id);
  line.push(NAMES.map((name) => values[name] ?? null));
  if (line.length > POINTS) line.shift();
}

export function forgetAllBut(ids) {
  for (const id of points.keys()) if (!ids.has(id)) points.delete(id);
}

export function makeChart() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "chart");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  for (const name of NAMES) {
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("class", name);
    svg.append(line);
  }
  return svg;
}

export function drawChart(svg, id, label) {
  const found = points.get(id) ?? [];
  const all = found.flat().filter((value) => value !== null);
  const low = Math.min(...all);
  const span = Math.max(...all) - low || 1;
  const x = (index) => ((WIDTH * index) / Math.max(1, found.length - 1)).toFixed(1);
  const y = (value) => (HEIGHT - 3 - ((value - low) / span) * (HEIGHT - 6)).toFixed(1);
  NAMES.forEach((_, which) => {
    const path = found.map((point, index) => (point[which] === null ? "" : `${x(index)},${y(point[which])}`));
    svg.children[which].setAttribute("points", path.filter(Boolean).join(" "));
  });
  svg.setAttribute("aria-label", label);
}
