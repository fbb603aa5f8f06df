// Fills the page: cards, then tables with what is worst first, the timeline, memory.
function card(id, label, value, tone, ...more) {
  return h("div", { class: "card " + tone }, h("dt", {}, label), h("dd", { id: "card-" + id, class: "value" }, value), more.filter(Boolean).map((one) => h("dd", { class: "more" }, one)));
}
const drops = Object.values(summary.drops.by_reason).reduce((sum, one) => sum + one.count, 0);
const payload = summary.tcp.payload_bytes;
const unread = payload.delivered - summary.tcp.read_bytes;

function cards() {
  const { http, tcp, network: net } = summary;
  const answers = (first) => Object.entries(http.by_status).reduce((sum, [status, n]) => (status.length === 3 && status[0] === first ? sum + n : sum), 0);
  const [refused, failed] = [answers("4"), answers("5")];
  const unanswered = summary.endpoints.reduce((sum, one) => sum + one.unanswered, 0);
  const lost = net.lost ? `${count(net.lost, "hole")} by network loss, ${duration(net.stalled)} waited` : "";
  const tone = failed || unanswered ? "bad" : refused ? "warn" : "";
  const times = latency.p95 === null ? "No exchange has both request and response." : `p50 ${duration(latency.p50)}, longest ${duration(latency.max)}`;
  const why = Object.entries(tcp.unread).sort((a, b) => b[1].bytes - a[1].bytes).slice(0, 2).map(([reason]) => reason).join(", ");
  document.getElementById("cards").append(
    card("exchanges", "Exchanges", number(tables.exchanges.total), "", `${count(http.requests, "request")}, ${count(http.responses, "response")}`, count(tcp.connections, "connection")),
    card("errors", "Failed or unanswered", number(refused + failed + unanswered), tone, `${number(failed)} 5xx, ${number(refused)} 4xx`, `${number(unanswered)} ${kinds.unanswered}`),
    card("p95", "p95 duration", latency.p95 === null ? "-" : duration(latency.p95), "", times),
    card("loss", "Missing bytes", size(tcp.missing_bytes), tcp.missing_bytes || drops ? "bad" : net.lost ? "warn" : "", `in ${count(tcp.gaps, "gap")}; ${count(drops, "drop")}`, lost),
    card("unread", "Unread", size(unread), unread ? "warn" : "", `${percent(unread, payload.delivered)} of the delivered bytes`, why),
  );
}

function counts() {
  const { tcp, http, json, decode, memory } = summary;
  const some = [
    ["packets", "packets", decode.packets],
    ["connections", "connections", tcp.connections],
    ["captured", "payload captured, bytes", payload.captured],
    ["delivered", "delivered, bytes", payload.delivered],
    ["retransmitted", "retransmitted, bytes", payload.retransmitted],
    ["missing", "missing, bytes", tcp.missing_bytes],
    ["gaps", "gaps", tcp.gaps],
    ["drops", "drops", drops],
    ["dropped", "dropped, bytes", payload.dropped],
    ["unread", "delivered and not read, bytes", unread],
    ["requests", "HTTP requests", http.requests],
    ["responses", "HTTP responses", http.responses],
    ["json", "JSON bodies", json.bodies],
    ["invalid", "invalid JSON", json.invalid],
    ["lost", "segments retransmitted after network loss", summary.network.lost_segments],
    ["peak", "memory peak, bytes", memory.peak_bytes],
  ];
  document.getElementById("numbers").append(...some.map(([id, label, n]) => h("div", {}, h("dt", {}, label), h("dd", { id: "n-" + id }, number(n)))));
}

function problems() {
  const tone = (kind) => (kind === "client_error" || kind === "other" ? "warn" : "bad");
  const rows = summary.problems.map((one, i) => ({ ...one, ...report.problems[i], tone: tone(one.kind), links: [] }));
  const plainRow = (links, tone) => ([n, what]) => ({ count: n, what, tone, more: "", endpoint: null, first: null, links });
  const stalled = (summary.tcp.examples.stalled || []).map((n) => ["#" + n, () => toConnection(n)]);
  const losses = [["Drops and gaps", () => h("a", { href: "#losses" }, "Drops and gaps")]];
  rows.push(...report.network.map(plainRow(stalled, "warn")), ...report.lost.map(plainRow(losses, "bad")));
  const first = (row) => (row.first ? [row.first.url, packetOf(row.first)].filter(Boolean).join(", ") : row.links.map(([text]) => text).join(" "));
  new Table("problems", {
    none: "None: no error, no broken body, nothing lost.", hint: "words, path:/api",
    open: (row) => row.first && openPlace(row.first),
    fields: { path: (row) => row.endpoint, kind: (row) => row.kind, status: (row) => row.what },
    columns: [
      { name: "problem", value: (row) => row.what, cell: (row, text) => h("span", { class: row.tone }, text), className: "wide" },
      { name: "count", value: (row) => row.count, numeric: true },
      { name: "endpoint", value: (row) => row.endpoint, className: "wide" },
      { name: "detail", value: (row) => row.more, className: "wide" },
      { name: "first", value: first, className: "wide", cell: (row, text) => (row.first ? text : row.links.map(([, make]) => [make(), " "])) },
    ],
  }, { rows, total: rows.length });
  const advice = document.getElementById("advice");
  if (summary.advice.length) advice.append(h("h3", {}, "Advice"), h("ul", {}, summary.advice.map((line) => h("li", {}, line))));
}

function parts(row) {
  if (!row.parts) return "";
  const named = ["server", "network", "transfer", "upload"].map((one) => [one, row.parts[one]]);
  const whole = named.reduce((sum, [, n]) => sum + n, 0);
  return whole ? named.sort((a, b) => b[1] - a[1]).filter(([, n], i) => !i || n >= whole / 20).map(([one, n]) => `${one} ${Math.round((100 * n) / whole)}%`).join(", ") : "";
}
function endpoints() {
  const time = (field) => ({ name: field, value: (row) => row.duration && row.duration[field], text: (row) => row.duration && duration(row.duration[field]), numeric: true });
  const errors = (row) => row.client_errors + row.server_errors;
  new Table("endpoints", {
    none: "The capture has no HTTP requests.", hint: "words, path:/api, >500ms (p95)",
    open: (row) => row.slowest && openPlace(row.slowest), duration: (row) => row.duration && row.duration.p95,
    fields: { path: (row) => row.name, method: (row) => row.name.split(" ")[0] },
    columns: [
      { name: "endpoint", value: (row) => row.name, className: "code" }, { name: "exchanges", value: (row) => row.exchanges, numeric: true },
      { name: "errors", value: errors, numeric: true, tone: (row) => (row.server_errors ? "bad" : errors(row) ? "warn" : "") },
      { name: "no response", value: (row) => row.unanswered, numeric: true, tone: (row) => (row.unanswered ? "bad" : "") },
      time("p50"), time("p95"), time("max"), { name: "mostly", value: parts },
      { name: "response bytes", value: (row) => row.response_bytes, text: (row) => size(row.response_bytes), numeric: true },
    ],
  }, { rows: summary.endpoints, total: summary.endpoints.length });
}

function exchangeTable() {
  const status = (row) => (row.response ? row.response.status : null);
  const bytes = (row) => row.response && row.response.body.bytes;
  const time = (name, field) => ({ name, value: (row) => row[field], text: (row) => (row[field] === null ? null : duration(row[field])), numeric: true });
  new Table("exchanges", {
    none: "The capture has no HTTP exchanges.", hint: "words, status:5xx, path:/api, >500ms",
    open: (row) => openExchange(row), duration: (row) => row.duration,
    fields: {
      status: (row) => status(row) ?? "none", path: (row) => row.request && row.request.target, method: (row) => row.request && row.request.method,
      host: hostOf, connection: (row) => row.connection,
    },
    columns: [
      { name: "request", value: asked, className: "code" },
      { name: "status", value: status, text: (row) => (row.response ? String(row.response.status) : "none"), numeric: true, cell: (row, text) => badge(text, row.response ? statusTone(row.response.status) : "bad") },
      time("duration", "duration"), time("wait", "wait"),
      { name: "problem", value: (row) => wrongWith(row).map((one) => one.text).join("; "), cell: (row) => wrongWith(row).map((one, i) => [i ? "; " : "", h("span", { class: one.tone }, one.text)]), className: "wide" },
      { name: "host", value: hostOf, className: "code" },
      { name: "bytes", value: bytes, text: (row) => (bytes(row) === null ? null : size(bytes(row))), numeric: true },
      { name: "time, UTC", value: (row) => row.ts, text: (row) => clock(row.ts), className: "when", numeric: true },
      { name: "connection", value: (row) => row.connection, text: (row) => "#" + row.connection, numeric: true, cell: (row) => toConnection(row.connection) },
    ],
  }, tables.exchanges);
}

function connectionTable() {
  const took = (row) => row.last_ts - row.first_ts;
  const bytes = (name, get, tone) => ({ name, value: get, text: (row) => (get(row) ? size(get(row)) : "0"), numeric: true, tone: (row) => (get(row) ? tone : "") });
  const trip = (row) => row.network && row.network.round_trip;
  new Table("connections", {
    none: "The capture has no TCP connections.", hint: "words, status:gapped, protocol:tls, >1s",
    open: (row) => () => show(() => connectionDrawer(row.connection)), duration: took,
    fields: { status: worse, protocol: (row) => row.protocol, client: (row) => end(row.client), server: (row) => end(row.server), connection: (row) => row.connection },
    columns: [
      { name: "connection", value: (row) => row.connection, text: (row) => "#" + row.connection, numeric: true },
      { name: "client and server", value: (row) => `${end(row.client)} to ${end(row.server)}`, className: "ends", cell: (row) => [h("span", {}, end(row.client)), h("span", {}, "to " + end(row.server))] },
      { name: "protocol", value: (row) => row.protocol }, { name: "status", value: worse, cell: (row, text) => badge(text, TONES[text]) },
      bytes("missing", (row) => both(row, "missing_bytes"), "bad"), bytes("dropped", (row) => both(row, "dropped_bytes"), "bad"), bytes("not read", unreadOf, "warn"),
      { name: "loss repair", value: (row) => network(row, "lost_segments"), numeric: true, tone: (row) => (network(row, "lost_segments") ? "warn" : "") },
      { name: "stalled", value: (row) => network(row, "stalled"), text: (row) => (network(row, "stalled") ? duration(network(row, "stalled")) : "0"), numeric: true, tone: (row) => (network(row, "stalled") ? "warn" : "") },
      { name: "round trip", value: trip, text: (row) => (trip(row) === null ? null : duration(trip(row))), numeric: true },
      { name: "captured", value: (row) => both(row, "captured_bytes"), text: (row) => size(both(row, "captured_bytes")), numeric: true },
      { name: "duration", value: took, text: (row) => duration(took(row)), numeric: true },
      { name: "began, UTC", value: (row) => row.first_ts, text: (row) => clock(row.first_ts, 3), className: "when", numeric: true },
    ],
  }, tables.connections);
}

function lossTable() {
  new Table("losses", {
    none: "No gaps and no drops: no stream has missing bytes, and nothing was given up.", hint: "words, kind:gap, status:acknowledged",
    open: openLoss, fields: { kind: (row) => row.record, status: reasonOf, reason: reasonOf, stream: (row) => row.stream, connection: (row) => row.connection },
    columns: [
      { name: "kind", value: (row) => row.record }, { name: "bytes", value: (row) => row.bytes, numeric: true },
      { name: "reason", value: reasonOf, tone: (row) => (row.record === "gap" ? "bad" : "warn") },
      { name: "what that means", value: (row) => [sentences[reasonOf(row)], row.detail].filter(Boolean).join(" "), className: "wide" },
      { name: "limit", value: (row) => row.limit && `${row.limit.name} = ${number(row.limit.value)}` },
      { name: "sent by", value: (row) => row.stream },
      { name: "offset", value: (row) => row.stream_offset, numeric: true },
      { name: "known at", value: (row) => row.packet, text: packetOf, className: "at", numeric: true },
      { name: "time, UTC", value: (row) => row.ts, text: (row) => clock(row.ts), className: "when", numeric: true },
      { name: "connection", value: (row) => row.connection, text: (row) => "#" + row.connection, numeric: true, cell: (row) => toConnection(row.connection) },
    ],
  }, tables.losses);
}

function charts() {
  const place = document.getElementById("charts");
  if (timeline.packets.length) {
    latencyChart(place);
    statusChart(place);
    throughputChart(place);
    countChart(place, "Missing bytes", timeline.missing_bytes, BYTES, size, "bad");
    countChart(place, "Gaps", timeline.gaps, [["gaps", 1]], (n) => count(n, "gap"), "bad");
    countChart(place, "Drops", timeline.drops, [["drops", 1]], (n) => count(n, "drop"), "warn");
    memoryChart(document.getElementById("memory-chart"));
  }
  if (!place.children.length) place.append(h("p", { class: "none" }, "There is nothing to draw."));
}

function memory() {
  const line = (account, one) => {
    const meter = h("meter", { min: 0, max: one.limit_bytes, value: one.peak_bytes, "aria-label": `${account}: peak against limit` });
    const size = (n) => h("td", { class: "number" }, mebibytes(n));
    const where = one.peak_at && one.peak_at.packet ? "packet " + number(one.peak_at.packet) : "";
    return h("tr", {}, h("th", { scope: "row" }, account), size(one.peak_bytes), h("td", {}, meter), size(one.limit_bytes), h("td", {}, where));
  };
  const all = [["all accounts", summary.memory], ...Object.entries(summary.memory.components)];
  document.getElementById("memory-table").append(
    h("thead", {}, h("tr", {}, ["account", "peak", "", "limit", "peak at"].map((one, i) => h(one ? "th" : "td", one ? { scope: "col", class: i === 1 || i === 3 ? "number" : "" } : {}, one)))),
    h("tbody", {}, all.map(([account, one]) => line(account, one))),
  );
}

function head() {
  const some = summary.captures.slice(0, 20).map((one) => `${one.path} (${one.format}, ${count(one.packets, "packet")}, ${size(one.bytes)})`);
  const rest = summary.captures.length - some.length;
  document.getElementById("captures").textContent = plain(some.join(", ")) + (rest > 0 ? ` and ${count(rest, "more capture")}` : "");
  if (began !== null) document.getElementById("when").textContent = `${moment(began, 3)} to ${moment(ended, 3)}, ${duration(ended - began)}. All times are UTC.`;
  const faults = [
    summary.interrupted && "The run was interrupted: the report covers the part that was read.",
    !payload.balanced && "The account of bytes does not balance: this is an error of pcapflow.",
    ...summary.captures.map((one) => one.damaged_at !== null && `${one.path} is damaged at byte ${number(one.damaged_at)}.`),
    ...summary.captures.map((one) => one.damaged_at === null && one.cut_short && `The last record of ${one.path} is cut short.`),
  ].filter(Boolean);
  document.getElementById("faults").append(...faults.map((one) => h("p", { class: "bad" }, one)));
  document.title = plain("pcapflow: " + summary.captures.map((one) => one.path.split("/").pop()).join(", "));
  const totals = { problems: summary.problems.length + report.network.length + report.lost.length, endpoints: summary.endpoints.length };
  for (const [id, table] of Object.entries(tables)) totals[id] = table.total;
  for (const [id, n] of Object.entries(totals)) document.querySelector(`nav a[href="#${id}"]`).append(" ", h("span", { class: "count" }, number(n)));
}

for (const draw of [head, cards, counts, problems, endpoints, exchangeTable, connectionTable, lossTable, charts, memory]) draw();
document.documentElement.dataset.ready = "yes";
