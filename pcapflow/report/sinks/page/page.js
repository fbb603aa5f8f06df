"use strict";
// Draws the report that stands in #data. What a capture says becomes text nodes, never markup.
const report = JSON.parse(document.getElementById("data").textContent);
const { summary, timeline, tables, sentences } = report;
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#0550ae", "#57606a", "#bc4c00"];

function element(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined && text !== null) node.textContent = text;
  if (className) node.className = className;
  return node;
}
function shape(name, attributes, title) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (title !== undefined) node.append(Object.assign(document.createElementNS(SVG, "title"), { textContent: title }));
  return node;
}
const number = (n) => n.toLocaleString("en-US");
function bytes(n) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) if (n >= size) return (n / size).toFixed(1) + " " + unit;
  return n + " B";
}
const time = (ts) => new Date(ts * 1000).toISOString().replace("T", " ").replace("Z", "");
const end = (e) => (e.ip.includes(":") ? `[${e.ip}]` : e.ip) + ":" + e.port;

// --- summary
document.getElementById("captures").textContent = summary.captures.map((c) => `${c.path} (${c.format}, ${number(c.packets)} packets, ${bytes(c.bytes)})`).join(", ") + (summary.interrupted ? " - interrupted: this covers what was read" : "");
document.title = "pcapflow: " + summary.captures.map((c) => c.path.split("/").pop()).join(", ");
const payload = summary.tcp.payload_bytes;
const drops = Object.values(summary.drops.by_reason).reduce((sum, d) => sum + d.count, 0);
for (const [id, name, value, bad] of [
  ["packets", "packets", summary.decode.packets], ["connections", "connections", summary.tcp.connections], ["captured", "payload captured (bytes)", payload.captured],
  ["delivered", "delivered (bytes)", payload.delivered], ["unread", "of these not read (bytes)", payload.delivered - summary.tcp.read_bytes, true], ["missing", "missing (bytes)", summary.tcp.missing_bytes, true], ["gaps", "gaps", summary.tcp.gaps, true],
  ["drops", "drops", drops, true], ["dropped", "dropped (bytes)", payload.dropped, true], ["requests", "HTTP requests", summary.http.requests], ["responses", "HTTP responses", summary.http.responses],
  ["json", "JSON bodies", summary.json.bodies], ["invalid", "invalid JSON", summary.json.invalid, true], ["peak", "memory peak (bytes)", summary.memory.peak_bytes],
]) {
  const box = element("div");
  const dd = element("dd", number(value), bad && value ? "bad" : "");
  dd.id = "n-" + id;
  box.append(element("dt", name), dd);
  document.getElementById("numbers").append(box);
}
if (!payload.balanced) document.getElementById("numbers").append(element("dd", "the account does not balance", "bad"));
for (const line of summary.advice) document.getElementById("advice").append(element("li", line));

// --- timeline
function chart(height, label, most) {
  const svg = shape("svg", { viewBox: `0 0 1000 ${height}`, role: "img", "aria-label": label });
  svg.append(shape("line", { x1: 0, y1: height - 16, x2: 1000, y2: height - 16, class: "axis" }));
  const top = shape("text", { x: 4, y: 11 });
  top.textContent = `${label}: ${most}`;
  const first = shape("text", { x: 4, y: height - 4 });
  first.textContent = time(timeline.start);
  const last = shape("text", { x: 996, y: height - 4, "text-anchor": "end" });
  last.textContent = time(timeline.start + timeline.width * timeline.packets.length);
  svg.append(top, first, last);
  return svg;
}
function bars(values, height, label, className, shown) {
  const most = Math.max(...values, 0);
  const svg = chart(height, label, "at most " + shown(most));
  const step = 1000 / values.length;
  values.forEach((value, i) => {
    if (!value) return;
    const h = Math.max(1, (value / most) * (height - 32));
    svg.append(shape("rect", { x: i * step, y: height - 16 - h, width: Math.max(step * 0.9, 0.8), height: h, class: className }, `${time(timeline.start + i * timeline.width)}: ${shown(value)}`));
  });
  return svg;
}
const counts = timeline.packets.length;
if (counts) {
  document.getElementById("timeline-note").textContent = `${number(counts)} buckets of ${timeline.width} s of capture time`;
  const place = document.getElementById("timeline");
  place.append(bars(timeline.bytes.map((n) => n / timeline.width), 140, "throughput", "bytes", (n) => bytes(Math.round(n)) + "/s"));
  place.append(bars(timeline.missing_bytes, 90, "bytes given up as missing", "lost", bytes));
  place.append(bars(timeline.drops, 90, "drops", "drop", number));
  const most = Math.max(...Object.values(timeline.memory).flat(), 1);
  const svg = chart(160, "memory by account", "at most " + bytes(most));
  const keys = element("p", null, "note");
  Object.entries(timeline.memory).forEach(([name, values], at) => {
    const points = values.map((value, i) => `${((i + 0.5) * 1000) / values.length},${144 - (value / most) * 128}`).join(" ");
    svg.append(shape("polyline", { points, class: "memory", stroke: COLOURS[at % COLOURS.length] }, name));
    const key = element("span", name, "key");
    key.style.color = COLOURS[at % COLOURS.length];
    keys.append(key);
  });
  document.getElementById("memory-timeline").append(svg, keys);
}
const memory = document.getElementById("memory");
for (const [name, part] of [["all accounts", summary.memory], ...Object.entries(summary.memory.components)]) {
  const row = element("tr");
  const meter = Object.assign(document.createElement("meter"), { min: 0, max: part.limit_bytes, value: part.peak_bytes });
  const cell = element("td");
  cell.append(meter);
  row.append(element("th", name), element("td", bytes(part.peak_bytes), "number"), cell, element("td", "of " + bytes(part.limit_bytes)), element("td", part.peak_at ? (part.peak_at.packet ? "at packet " + number(part.peak_at.packet) : "at the start") : ""));
  memory.append(row);
}

// --- tables that sort and filter
function table(id, columns, kept) {
  const section = document.getElementById(id);
  const { total, rows } = kept;
  const search = Object.assign(element("input"), { type: "search", placeholder: "filter", id: id + "-filter" });
  search.setAttribute("aria-label", "filter " + id);
  const note = element("span", null, "note");
  note.id = id + "-note";
  const body = element("tbody");
  const head = element("tr");
  const entries = rows.map((row) => {
    const cells = columns.map(([, value]) => value(row));
    return { row, cells, text: cells.join(" ").toLowerCase() };
  });
  let order = null;
  let up = true;
  function draw() {
    const wanted = search.value.toLowerCase();
    const shown = entries.filter((entry) => entry.text.includes(wanted));
    if (order !== null) {
      shown.sort((a, b) => {
        const [x, y] = [a.cells[order], b.cells[order]];
        if (x === y) return 0;
        if (x === null || x === "") return 1;
        if (y === null || y === "") return -1;
        return (x < y ? -1 : 1) * (up ? 1 : -1);
      });
    }
    note.textContent = `${number(shown.length)} of ${number(rows.length)} rows` + (total > rows.length ? `; the page holds ${number(rows.length)} of ${number(total)}, those that lost, failed or took most` : "");
    body.replaceChildren(...shown.map((entry) => {
      const line = element("tr");
      columns.forEach(([, , show, style], i) => {
        const value = entry.cells[i];
        const cell = element("td", null, (typeof value === "number" ? "number " : "") + (style ? style(entry.row) : ""));
        cell.append(show && value !== null ? show(value, entry.row) : value === null ? "" : String(value));
        line.append(cell);
      });
      return line;
    }));
  }
  columns.forEach(([name], i) => {
    const th = element("th");
    const button = element("button", name);
    button.type = "button";
    button.addEventListener("click", () => {
      up = order === i ? !up : true;
      order = i;
      for (const other of head.children) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      draw();
    });
    th.append(button);
    th.scope = "col";
    head.append(th);
  });
  search.addEventListener("input", draw);
  const thead = element("thead");
  thead.append(head);
  const grid = element("table");
  grid.append(thead, body);
  const scroll = element("div", null, "scroll");
  scroll.append(grid);
  section.append(search, note, scroll);
  draw();
}
const both = (c, name) => c.streams.client[name] + c.streams.server[name];
const worse = (c) => ["dropped", "gapped", "partial", "complete"].find((s) => c.streams.client.status === s || c.streams.server.status === s);
const tone = { dropped: "bad", gapped: "bad", partial: "warm", complete: "good" };
function evidence(sentence, row) {
  const details = element("details");
  details.append(element("summary", sentence));
  const facts = row.record === "gap"
    ? { "last offset": row.last_offset, "sequence numbers": `${row.sequence} to ${row.last_sequence}`, "held then": bytes(row.held_bytes) }
    : { detail: row.detail, "sequence number": row.sequence, resumes: row.resumes ? "at its next message" : "no" };
  if (row.limit) facts.limit = `${row.limit.name} = ${number(row.limit.value)}`;
  if (row.requested_by) facts["asked for by connection"] = row.requested_by;
  facts["in Wireshark"] = `frame.number == ${row.packet}`;
  for (const [name, value] of Object.entries(facts)) if (value !== null && value !== "") details.append(element("div", `${name}: ${value}`));
  return details;
}
table("losses", [
  ["time", (r) => r.ts, (v) => time(v)], ["kind", (r) => r.record, null, (r) => (r.record === "drop" ? "warm" : "bad")], ["connection", (r) => r.connection], ["stream", (r) => r.stream],
  ["why", (r) => r.cause || r.reason, (v, r) => evidence(v + ": " + (sentences[v] || ""), r)], ["offset", (r) => r.stream_offset, number], ["bytes", (r) => r.bytes, number], ["packet", (r) => r.packet],
], tables.losses);
table("connections", [
  ["connection", (c) => c.connection], ["client", (c) => end(c.client)], ["server", (c) => end(c.server)], ["protocol", (c) => c.protocol], ["began", (c) => c.first_ts, (v) => time(v)],
  ["seconds", (c) => Math.round((c.last_ts - c.first_ts) * 1e6) / 1e6], ["packets", (c) => c.packets, number], ["captured", (c) => both(c, "captured_bytes"), number], ["missing", (c) => both(c, "missing_bytes"), number, (c) => (both(c, "missing_bytes") ? "bad" : "")],
  ["not read", (c) => both(c, "delivered_bytes") - both(c, "read_bytes"), number, (c) => (both(c, "delivered_bytes") > both(c, "read_bytes") ? "warm" : "")],
  ["why", (c) => [...new Set([...c.streams.client.unread, ...c.streams.server.unread].map((u) => u.name || u.reason))].join(", ")],
  ["dropped", (c) => both(c, "dropped_bytes"), number, (c) => (both(c, "dropped_bytes") ? "bad" : "")], ["status", (c) => worse(c), null, (c) => tone[worse(c)]], ["end", (c) => c.end],
], tables.connections);
table("exchanges", [
  ["time", (h) => h.ts, (v) => time(v)], ["connection", (h) => h.connection], ["method", (h) => h.request && h.request.method], ["host", (h) => h.request && h.request.host], ["target", (h) => h.request && h.request.target],
  ["status", (h) => h.response && h.response.status, null, (h) => (!h.response || h.response.status >= 400 ? "bad" : "good")], ["milliseconds", (h) => (h.duration === null ? null : Math.round(h.duration * 1e6) / 1e3), number],
  ["bytes", (h) => h.response && h.response.body.bytes, number], ["body", (h) => h.response && h.response.body.status, null, (h) => (h.response && h.response.body.status !== "complete" ? "bad" : "")],
  ["JSON", (h) => h.response && h.response.body.json && h.response.body.json.status], ["anomalies", (h) => h.anomalies.join(", ")],
], tables.exchanges);
document.documentElement.dataset.ready = "yes";
