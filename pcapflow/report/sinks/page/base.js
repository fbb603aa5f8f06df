"use strict";
// Reads the report that stands in #data, and has what every other part uses. What a capture says becomes text nodes, never markup.
const report = JSON.parse(document.getElementById("data").textContent);
const { summary, timeline, latency, tables, sentences, kinds } = report;
const SVG = "http://www.w3.org/2000/svg";
// control characters, changes of direction and lone surrogates: what is shown reads in the order in which it was sent
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const plain = (text) => String(text).replace(UNSEEN, "\ufffd");

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(key, value);
    else node.setAttribute(key, value === true ? "" : plain(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== "" && child !== false) node.append(child instanceof Node ? child : plain(child));
  }
  return node;
}
const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const shape = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
const button = (text, act, attributes = {}) => h("button", { type: "button", click: act, ...attributes }, text);
const badge = (text, tone) => h("span", { class: "badge " + (tone || "") }, text);

// --- numbers, with their units
const number = (n) => n.toLocaleString("en-US");
const percent = (part, whole) => (whole ? ((100 * part) / whole).toFixed(2) + "%" : "-");
const count = (n, one, many = one + "s") => `${number(n)} ${n === 1 ? one : many}`;
function scaled(n, units) {
  for (const [unit, scale] of units) if (n >= scale) return (n / scale).toFixed(1) + " " + unit;
  return number(Math.round(n)) + " B";
}
const SIZES = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]];
const size = (n) => scaled(n, SIZES);
const mebibytes = (n) => scaled(n, [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]);
const TIMES = [["s", 1], ["ms", 1e-3], ["\u00b5s", 1e-6]];
const LONG = [["days", 86400, 2], ["h", 3600, 2], ["min", 60, 1000 / 60]];
function duration(seconds) {
  if (!seconds) return "0 s";
  for (const [unit, scale, least] of LONG) if (seconds >= least * scale) return (seconds / scale).toFixed(1) + " " + unit;
  const [unit, scale] = TIMES.find(([, one]) => seconds >= one) || TIMES[2];
  const value = Math.round((seconds / scale) * 1e6) / 1e6;
  return value.toFixed(unit === "\u00b5s" ? 0 : Math.max(0, 3 - String(Math.floor(value)).length)) + " " + unit;
}

// --- instants, UTC
function digits(ts, places) {
  const micros = Math.round(ts * 1e6);
  const seconds = Math.floor(micros / 1e6);
  const [day, clock] = new Date(seconds * 1000).toISOString().slice(0, -5).split("T");
  return { day, clock: places ? `${clock}.${String(micros - seconds * 1e6).padStart(6, "0").slice(0, places)}` : clock };
}
const moment = (ts, places = 6) => Object.values(digits(ts, places)).join(" ") + " UTC";
const began = summary.captures.map((one) => one.first_ts).filter((ts) => ts !== null).sort((a, b) => a - b)[0] ?? null;
const ended = summary.captures.map((one) => one.last_ts).filter((ts) => ts !== null).sort((a, b) => b - a)[0] ?? null;
const oneDay = began !== null && digits(began, 0).day === digits(ended, 0).day ? digits(began, 0).day : null;
function clock(ts, places = 6) {
  const at = digits(ts, places);
  return oneDay === at.day ? at.clock : `${at.day} ${at.clock}`;
}
const end = (e) => (e === null || e === undefined ? "" : (e.ip.includes(":") ? `[${e.ip}]` : e.ip) + ":" + e.port);

// --- what belongs together: exchange, connection, and gaps and drops, by the connection's number
const name = (exchange) => `${exchange.connection}/${exchange.exchange}`;
const exchanges = new Map(tables.exchanges.rows.map((one) => [name(one), one]));
const connections = new Map(tables.connections.rows.map((one) => [one.connection, one]));
function grouped(rows) {
  const found = new Map();
  for (const row of rows) {
    if (!found.has(row.connection)) found.set(row.connection, []);
    found.get(row.connection).push(row);
  }
  return found;
}
const exchangesOf = grouped(tables.exchanges.rows);
const lossesOf = grouped(tables.losses.rows);
for (const some of exchangesOf.values()) some.sort((a, b) => a.exchange - b.exchange);
