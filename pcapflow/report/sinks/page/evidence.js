// What the drawer shows of an exchange, a connection, a gap or a drop.
const INSTANTS = [
  ["request", "ts", "first byte of the request"],
  ["request", "end_ts", "last byte of the request"],
  ["response", "ts", "first byte of the response"],
  ["response", "end_ts", "last byte of the response"],
];

function exchangeDrawer(exchange) {
  const { connection, response } = exchange;
  const wrong = wrongWith(exchange);
  return [
    title(asked(exchange)),
    h("p", {},
      response ? badge(`${response.status} ${response.reason}`.trim(), statusTone(response.status)) : badge(noResponse(exchange), "bad"),
      exchange.duration === null ? "" : ` ${duration(exchange.duration)}`,
      ` \u00b7 ${hostOf(exchange)} \u00b7 exchange ${exchange.exchange} of connection `,
      toConnection(connection)),
    wrong.length > 0 && part("What is wrong", h("ul", {}, wrong.map(problemItem))),
    part("Instants", waterfall(exchange), instants(exchange)),
    part("Gaps and drops within it", lossList(exchange)),
    ...MESSAGES.filter((of) => exchange[of]).map((of) => messagePart(of, exchange[of])),
    commands(connection, exchange.exchange),
    siblings(exchange),
  ].filter(Boolean);
}
function problemItem(wrong) {
  const more = wrong.error ? errorText(wrong.error) : wrong.sentence;
  return h("li", { class: wrong.tone }, wrong.text, more && h("div", { class: "note" }, more));
}

// three spans between the four instants, each at its place in time, and losses within
function waterfall(exchange) {
  const { request, response } = exchange;
  if (exchange.duration === 0) return note("Request and response were captured at one instant.");
  if (!request || !response || !exchange.duration) return note("The capture has only one of request and response, so there is no span to draw.");
  const from = request.ts;
  const whole = Math.max(response.end_ts, request.end_ts) - from || 1e-6;
  const x = (ts) => (100 * Math.min(Math.max(ts - from, 0), whole)) / whole;
  const spans = [
    ["request sent", request.ts, request.end_ts, "warn"],
    ["wait", request.end_ts, response.ts, "info"],
    ["response received", response.ts, response.end_ts, "good"],
  ];
  const rows = spans.map(([what, a, b, tone]) => {
    const track = shape("rect", { x: 0, y: 7, width: "100%", height: 2, class: "track" });
    const bar = shape("svg", { class: "span", "aria-hidden": "true" }, track, shape("rect", { x: x(a) + "%", y: 2, width: Math.max(x(b) - x(a), 0.6) + "%", height: 12, class: tone }));
    for (const loss of lossesWithin(exchange)) bar.append(shape("rect", { x: x(loss.ts) + "%", y: 0, width: 2, height: 16, class: "bad" }));
    return h("div", { class: "lane" }, h("span", {}, what), bar, h("span", { class: "number" }, b >= a ? duration(b - a) : "early"));
  });
  return h("div", { class: "waterfall" }, rows);
}
function instants(exchange) {
  const rows = INSTANTS.filter(([of, field]) => exchange[of] && exchange[of][field] !== null).map(([of, field, what]) => {
    const message = exchange[of];
    return [field === "ts" && message.packet ? `${what}, ${packetOf(message)}` : what, clock(message[field]), "+" + duration(Math.max(0, message[field] - exchange.ts))];
  });
  return grid(["instant", "time, UTC", "after"], rows, "Instants");
}
function lossList(exchange) {
  const within = lossesWithin(exchange);
  const more = (lossesOf.get(exchange.connection) || []).length - within.length;
  const holed = MESSAGES.filter((of) => exchange[of] && exchange[of].body.missing_bytes);
  const missing = holed.map((of) => note(`${number(exchange[of].body.missing_bytes)} bytes of the ${of}'s body are missing.`));
  const others = more > 0 ? note(`${count(more, "other gap or drop", "other gaps and drops")} on this connection.`) : null;
  if (within.length) return [missing, networkLoss(exchange), h("ul", {}, within.map(lossItem)), others];
  return [missing, networkLoss(exchange), note("No gap and no drop in its time and direction."), others];
}
function networkLoss(exchange) {
  if (!exchange.stalled) return null;
  const c = connections.get(exchange.connection);
  const lost = c ? `, which has ${count(network(c, "lost"), "hole")} by network loss and ${count(network(c, "lost_segments"), "segment")} sent again` : "";
  return h("p", {}, `The network lost segments: bytes waited ${duration(exchange.stalled)} for them. See connection `, toConnection(exchange.connection), `${lost}.`);
}
const lossItem = (loss) => h("li", {}, link(`${loss.record} of ${number(loss.bytes)} bytes`, openLoss(loss)), ` sent by the ${loss.stream}, known at ${packetOf(loss)}: ${sentences[reasonOf(loss)] || reasonOf(loss)}`);

function messagePart(of, message) {
  const { body, headers } = message;
  const json = body.json;
  return part(of === "request" ? "Request" : "Response", facts([
    ["body", body.framing === "none" && !body.bytes ? "none" : `${number(body.bytes)} bytes, ${body.status}`],
    ["announced", body.expected_bytes !== null && body.expected_bytes !== body.bytes ? number(body.expected_bytes) + " bytes" : null],
    ["decoded", body.decoded_bytes !== null && body.decoded_bytes !== body.bytes ? number(body.decoded_bytes) + " bytes" : null],
    ["content type", body.content_type], ["content coding", body.content_encoding],
    ["given up", body.drop_reason && (sentences[body.drop_reason] || body.drop_reason)],
    ["JSON", json && `${json.status}, ${count(json.documents, "document")}, ${count(json.keys, "key")}`],
    ["JSON error", json && json.error && errorText(json.error)],
    [body.payload ? body.payload.format : "", body.payload && body.payload.status],
    ["operations", message.operations && message.operations.join(", ")],
  ]), headerList(of, headers, message.trailers));
}
function headerList(of, headers, trailers) {
  if (!headers) return note("Headers are not recorded: run analyze with --headers all.");
  const listed = (heading, some) => h("details", { open: true }, h("summary", {}, `${heading} (${number(some.length)})`), facts(some.map((one) => [one.name, one.value ?? "(not recorded)"])));
  return [listed("Headers", headers), trailers && listed("Trailers", trailers)];
}
function siblings(exchange) {
  const others = (exchangesOf.get(exchange.connection) || []).filter((one) => one !== exchange);
  return others.length > 0 && part("Other exchanges of this connection", exchangeList(others));
}
const LISTED = 50;
function exchangeList(some) {
  const item = (one) => h("li", {}, link(asked(one), openExchange(one)), ` ${one.response ? one.response.status : noResponse(one)}${one.duration === null ? "" : ", " + duration(one.duration)}`);
  return [h("ul", {}, some.slice(0, LISTED).map(item)), some.length > LISTED && note(`and ${number(some.length - LISTED)} more`)];
}

const notKept = (table, what) => note(`The page holds the worst ${number(table.rows.length)} of ${number(table.total)} ${what}. This one is not among them.`);
function placeDrawer(place) {
  return [
    title(place.url || "(request not captured)"),
    notKept(tables.exchanges, "exchanges"),
    facts([["connection", toConnection(place.connection)], ["exchange", String(place.exchange)], ["where", packetOf(place)]]),
    commands(place.connection, place.exchange),
  ];
}

const STREAM_ROWS = [
  ["captured", "captured_bytes"],
  ["delivered", "delivered_bytes"],
  ["read", "read_bytes"],
  ["missing", "missing_bytes"],
  ["dropped", "dropped_bytes"],
  ["retransmitted", "retransmitted_bytes"],
  ["conflicting", "conflicting_bytes"],
  ["late", "late_bytes"],
  ["out of window", "out_of_window_bytes"],
];
const NETWORK_ROWS = [
  ["holes by network loss", "lost"],
  ["segments retransmitted", "lost_segments"],
  ["overtaken", "reordered"],
  ["came twice", "retransmitted_segments"],
  ["duplicate acknowledgements", "duplicate_acknowledgements"],
  ["zero windows", "zero_windows"],
  ["resets", "resets"],
];
function connectionDrawer(n) {
  const c = connections.get(n);
  const its = exchangesOf.get(n) || [];
  const lost = lossesOf.get(n) || [];
  const links = [
    its.length > 0 && part("Its exchanges", exchangeList(its)),
    lost.length > 0 && part("Its gaps and drops", h("ul", {}, lost.slice(0, LISTED).map(lossItem)), lost.length > LISTED && note(`and ${number(lost.length - LISTED)} more`)),
  ].filter(Boolean);
  if (!c) return [title(`Connection ${n}`), notKept(tables.connections, "connections"), ...links, commands(n)];
  const tone = TONES[worse(c)];
  return [
    title(`Connection ${n}`),
    h("p", {}, badge(worse(c), tone), ` ${end(c.client)} to ${end(c.server)}`),
    facts([
      ["protocol", c.protocol],
      ["TLS name", c.tls && c.tls.server_name],
      ["began", `${moment(c.first_ts)}${c.start === "midstream" ? ", before the capture" : ""}`],
      ["took", duration(c.last_ts - c.first_ts)],
      ["packets", number(c.packets)],
      ["ended by", c.end],
      ["round trip to the server", c.network && c.network.round_trip !== null && duration(c.network.round_trip)],
      ["round trip to the client", c.network && c.network.client_round_trip !== null && duration(c.network.client_round_trip)],
      ["VLAN", c.vlan.join(", ")], ["tunnel", c.tunnel], ["community id", c.community_id],
    ]),
    part("Bytes", streamGrid(c), unreadList(c)), networkPart(c), ...links, commands(n),
  ].filter(Boolean);
}
const sides = (rows, get) => rows.map(([what, field]) => [what, get("client", field), get("server", field)]).filter(([, a, b]) => a || b).map(([what, a, b]) => [what, number(a), number(b)]);
function streamGrid(c) {
  const rows = sides(STREAM_ROWS, (side, field) => c.streams[side][field]);
  return grid(["bytes sent by", "client", "server"], [["status", c.streams.client.status, c.streams.server.status], ...rows], "Bytes of both directions");
}
function unreadList(c) {
  const some = ["client", "server"].flatMap((side) => c.streams[side].unread.map((one) => [side, one]));
  return some.length > 0 && h("ul", {}, some.map(([side, one]) => h("li", {}, `${number(one.bytes)} bytes sent by the ${side} are not read (${one.name || one.reason}). ${sentences[one.reason]}`)));
}
function networkPart(c) {
  if (!c.network) return null;
  const rows = sides(NETWORK_ROWS, (side, field) => c.network[side][field]);
  const times = [
    ["waited for network loss", "stalled"],
    ["zero window for", "closed"],
  ].map(([what, field]) => [what, c.network.client[field], c.network.server[field]]).filter(([, a, b]) => a || b);
  rows.push(...times.map(([what, a, b]) => [what, duration(a), duration(b)]));
  return rows.length > 0 && part("What the network did", grid(["to bytes sent by", "client", "server"], rows, "What the network did to both directions"));
}

function lossDrawer(loss) {
  const around = exchangesAround(loss);
  const gap = loss.record === "gap";
  return [
    title(`${gap ? "Gap" : "Drop"} of ${number(loss.bytes)} bytes`),
    h("p", {}, badge(loss.record, gap ? "bad" : "warn"), ` ${reasonOf(loss)}: ${sentences[reasonOf(loss)] || ""}`),
    part("Evidence", facts([
      ["connection", toConnection(loss.connection)], ["sent by", loss.stream], ["time", moment(loss.ts)], ["where", packetOf(loss)],
      ["stream offset", gap ? `${number(loss.stream_offset)} to ${number(loss.last_offset)}` : number(loss.stream_offset)],
      ["sequence numbers", gap ? loss.sequence !== null && `${loss.sequence} to ${loss.last_sequence}` : loss.sequence],
      ["held then", gap && size(loss.held_bytes)], ["detail", loss.detail], ["layer", loss.layer], ["resumes", !gap && (loss.resumes ? "at its next message" : "no")],
      ["limit", loss.limit && `${loss.limit.name} = ${number(loss.limit.value)}`],
      ["asked for by connection", loss.requested_by && toConnection(loss.requested_by)],
    ]), command("Find it in Wireshark", `frame.number == ${loss.frame ?? loss.packet}`)),
    part("Within", around.length ? exchangeList(around) : note("No exchange of this page has it in its time and direction.")),
    commands(loss.connection),
  ];
}
