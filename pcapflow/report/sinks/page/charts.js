// Charts over capture time: axes with units, UTC; each says in words what it shows. A chart in which nothing would be drawn is left out.
const BOTTOM = 34;
const TOP = 10;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const at = (i) => timeline.start + i * timeline.width;
const most = (values) => values.reduce((a, b) => (b > a ? b : a), 0);
const total = (values) => values.reduce((a, b) => a + b, 0);

// what the axis counts in, by the highest value
function scaleFor(units, highest) {
  const [unit, scale] = units.find(([, one]) => highest >= one) || units[units.length - 1];
  return { unit, scale };
}
const BYTES = [...SIZES, ["B", 1]];
function roundStep(span, wanted) {
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= rough * 0.999);
}
function timeStep(span, wanted) {
  const rough = span / wanted;
  if (rough < 1) return roundStep(span, wanted);
  return STEPS.find((step) => step >= rough) || Math.ceil(rough / 86400) * 86400;
}
function places(step) {
  return step >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(step) - 1e-9));
}

// bars of two pixels at the least: buckets beside one another become one
function together(values, by, join) {
  if (by === 1) return values;
  const found = [];
  for (let i = 0; i < values.length; i += by) found.push(join(values.slice(i, i + by)));
  return found;
}
const highest = (values) => values.reduce((a, b) => (b !== null && (a === null || b > a) ? b : a), null);

class Chart {
  // bars: lists on top of one another (or, with `before`, in front of one another) with a class each; lines: likewise
  constructor(place, spec) {
    this.spec = spec;
    this.svg = shape("svg", { role: "img", "aria-label": `${spec.title}. ${spec.said}` });
    const mark = (one) => shape("svg", { class: "mark", viewBox: "0 0 10 10", "aria-hidden": "true" }, shape("rect", { width: 10, height: 10, class: one.className }));
    const key = spec.series.length > 1 && h("p", { class: "keys" }, spec.series.map((one) => h("span", { class: "key" }, mark(one), one.name)));
    place.append(h("figure", {}, h("figcaption", {}, h("h3", {}, spec.title), h("p", { class: "note" }, spec.said)), key, this.svg));
    this.width = 0;
    new ResizeObserver(() => this.draw()).observe(this.svg);
    this.draw();
  }

  draw() {
    const width = Math.round(this.svg.getBoundingClientRect().width);
    if (!width || width === this.width) return;
    this.width = width;
    const { spec } = this;
    this.height = spec.height || 150;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    const n = spec.series[0].values.length;
    const by = spec.lines ? 1 : Math.max(1, Math.ceil((2 * n) / (width - 80)));
    const series = spec.series.map((one) => ({ ...one, values: together(one.values, by, one.join || total) }));
    const top = spec.stacked ? most(series[0].values.map((_, i) => total(series.map((one) => one.values[i])))) : most(series.map((one) => most(one.values)));
    const per = spec.perSecond ? by * timeline.width : 1;
    const { unit, scale } = scaleFor(spec.units, top / per);
    this.svg.replaceChildren();
    this.axes({ unit, scale, top: top / per, bar: by * timeline.width });
    if (spec.lines) this.lines(series, top);
    else this.bars(series, top, by, (value) => spec.shown(value / per));
  }

  x(i, n) {
    return this.left + (i / n) * (this.width - this.left - 4);
  }

  y(value, top) {
    return this.height - BOTTOM - (value / top) * (this.height - BOTTOM - TOP - 12);
  }

  axes({ unit, scale, top, bar }) {
    const { svg, width, height, spec } = this;
    const text = (x, y, what, anchor) => shape("text", { x, y, "text-anchor": anchor }, what);
    const step = Math.max(roundStep(top / scale, 4), spec.whole ? 1 : 0);
    const labels = [];
    for (let value = 0; value <= (top / scale) * 1.0001; value += step) labels.push(Number(value.toPrecision(6)));
    this.left = Math.max(46, ...labels.map((value) => number(value).length * 7 + 12));
    for (const value of labels) {
      const y = this.y(value * scale, top);
      svg.append(shape("line", { x1: this.left, x2: width - 4, y1: y, y2: y, class: value ? "rule" : "axis" }), text(this.left - 5, y + 4, number(value), "end"));
    }
    const each = spec.lines ? "" : `, each bar ${duration(bar)}`;
    svg.append(text(0, 11, (typeof spec.unit === "function" ? spec.unit(unit) : unit) + each, "start"));
    const span = timeline.width * timeline.packets.length;
    const label = (ts, step) => (step >= 86400 ? digits(ts, 0).day : clock(ts, places(step)));
    const broad = (step) => 7 * label(timeline.start, step).length + 16;
    let gap = timeStep(span, Math.max(1, Math.floor((width - this.left) / broad(1))));
    gap = timeStep(span, Math.max(1, Math.floor((width - this.left) / broad(gap))));
    const wide = broad(gap);
    let last = -Infinity;
    for (let k = Math.ceil(timeline.start / gap); k * gap <= timeline.start + span; k++) {
      const x = this.left + ((k * gap - timeline.start) / span) * (width - this.left - 4);
      svg.append(shape("line", { x1: x, x2: x, y1: height - BOTTOM, y2: height - BOTTOM + 4, class: "axis" }));
      const middle = Math.min(Math.max(x, wide / 2 - 8), width - wide / 2 + 4);
      if (middle - last < wide) continue;
      last = middle;
      svg.append(text(middle, height - BOTTOM + 15, label(k * gap, gap), "middle"));
    }
    svg.append(text(width - 4, height - 3, `capture time, UTC${oneDay ? ", " + oneDay : ""}`, "end"));
  }

  bars(series, top, by, shown) {
    const { spec } = this;
    const n = timeline.packets.length / by;
    const width = Math.max(1, (this.width - this.left - 4) / n - 0.5);
    for (let i = 0; i < series[0].values.length; i++) {
      let below = 0;
      const bar = shape("g", {});
      const words = [];
      for (const one of series) {
        const value = one.values[i];
        if (!value) continue;
        const low = this.y(below, top);
        const high = Math.min(this.y(below + value, top), low - 1);
        bar.append(shape("rect", { x: this.x(i, n), y: high, width, height: low - high, class: one.className }));
        if (spec.stacked) below += value;
        words.push(`${one.name} ${shown(value)}`);
      }
      if (words.length) this.svg.append(fill(bar, {}, [shape("title", {}, `${clock(at(i * by), places(timeline.width))} UTC: ${words.join(", ")}`)]));
    }
  }

  lines(series, top) {
    for (const one of series) {
      const n = one.values.length;
      const points = one.values.map((value, i) => `${this.x(i + 0.5, n).toFixed(1)},${this.y(value, top).toFixed(1)}`).join(" ");
      this.svg.append(shape("polyline", { points, class: one.className }, shape("title", {}, one.name)));
    }
  }
}

function whenHighest(values) {
  return `in the ${duration(timeline.width)} from ${clock(at(values.indexOf(highest(values))), places(timeline.width))} UTC`;
}
const STATUSES = { "2xx": "good", "3xx": "info", "1xx": "quiet", other: "odd", "4xx": "warn", "5xx": "bad", unanswered: "none" };

function latencyChart(place) {
  const { longest, p95 } = timeline;
  if (!longest.some((value) => value)) return;
  const series = [{ name: "longest", values: longest, className: "soft", join: highest }];
  if (p95) series.push({ name: "p95", values: p95, className: "info", join: highest });
  const said = (p95 ? `p95 of all exchanges: ${duration(latency.p95)}. ` : "") + `The longest took ${duration(latency.max)} and began ${whenHighest(longest)}.`;
  new Chart(place, { title: "Latency, by the time of the request", said, series, units: TIMES, shown: duration });
}
function statusChart(place) {
  const names = Object.keys(STATUSES).filter((one) => timeline.status[one]);
  if (!names.length) return;
  const named = (one) => (one === "unanswered" ? kinds.unanswered : one);
  const series = names.map((one) => ({ name: named(one), values: timeline.status[one], className: STATUSES[one] }));
  const said = series.map((one) => `${number(total(one.values))} ${one.name}`).join(", ") + ", by the time of the request.";
  new Chart(place, { title: "Status", said, series, stacked: true, whole: true, units: [["exchanges", 1]], shown: number });
}
function throughputChart(place) {
  const values = timeline.bytes;
  if (!most(values)) return;
  const said = `At most ${size(most(values) / timeline.width)}/s ${whenHighest(values)}; ${size(total(values))} in all.`;
  const series = [{ name: "throughput", values, className: "info" }];
  new Chart(place, { title: "Throughput, all packets", said, series, perSecond: true, units: BYTES, unit: (unit) => unit + "/s", shown: (value) => size(value) + "/s" });
}
function countChart(place, title, values, units, shown, className) {
  if (!most(values)) return;
  const said = `${shown(total(values))} in all, by the time at which pcapflow detected it; most ${whenHighest(values)}.`;
  new Chart(place, { title, said, series: [{ name: title.toLowerCase(), values, className }], whole: true, units, shown, height: 120 });
}
function memoryChart(place) {
  const held = Object.entries(timeline.memory);
  if (!held.length) return;
  const series = held.map(([account, values], i) => ({ name: account, values, className: "line l" + (i % 10) }));
  const said = `Accounts as they were at the end of each block of packets; all together held at most ${mebibytes(summary.memory.peak_bytes)}.`;
  new Chart(place, { title: "Memory by account", said, series, lines: true, units: [["MiB", 2 ** 20], ["KiB", 2 ** 10], ["B", 1]], shown: mebibytes });
}
