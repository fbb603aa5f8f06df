// What is wrong with an exchange, a connection, a loss: in the words of the summary's problems.
const MESSAGES = ["request", "response"];
const both = (c, field) => c.streams.client[field] + c.streams.server[field];
const unreadOf = (c) => both(c, "delivered_bytes") - both(c, "read_bytes");
const network = (c, field) => (c.network ? c.network.client[field] + c.network.server[field] : 0);
const worse = (c) => ["dropped", "gapped", "partial", "complete"].find((one) => c.streams.client.status === one || c.streams.server.status === one);
const TONES = { dropped: "bad", gapped: "bad", truncated: "bad", invalid: "bad", partial: "warn", complete: "good" };
const statusTone = (status) => (status >= 500 ? "bad" : status >= 400 ? "warn" : status >= 300 ? "info" : "good");

function wrongWithBody(body, of) {
  const found = [];
  if (body.status !== "complete") found.push({ text: `${kinds[body.status + "_body"]} in the ${of}`, tone: "bad" });
  if (body.json && body.json.status === "invalid") found.push({ text: `${kinds.broken_json} in the ${of}`, tone: "bad", error: body.json.error });
  if (body.json && body.json.status === "dropped") found.push({ text: `dropped JSON in the ${of}`, tone: "bad" });
  if (body.payload && body.payload.status === "invalid") {
    found.push({ text: `${kinds["broken_" + body.payload.format] || "broken " + body.payload.format} in the ${of}`, tone: "bad", error: body.payload.error });
  }
  return found;
}
const noResponse = (exchange) => report.unanswered[exchange.unanswered] || kinds.unanswered;
function wrongWith(exchange) {
  const { request, response } = exchange;
  const found = [];
  if (!response) found.push({ text: noResponse(exchange), tone: "bad", sentence: sentences[exchange.unanswered] });
  else if (response.status >= 400) found.push({ text: `${response.status} ${response.reason}`.trim(), tone: statusTone(response.status) });
  if (!request) found.push({ text: "the request is not in the capture", tone: "warn" });
  for (const of of MESSAGES) if (exchange[of]) found.push(...wrongWithBody(exchange[of].body, of));
  for (const anomaly of exchange.anomalies) found.push({ text: anomaly, tone: "warn", sentence: sentences[anomaly] });
  if (exchange.stalled) found.push({ text: `waited ${duration(exchange.stalled)} for network loss`, tone: "warn" });
  return found;
}
function errorText(error) {
  const place = error.location || (error.line ? `line ${error.line}, column ${error.column}` : "");
  const byte = error.offset === undefined ? "" : `, byte ${number(error.offset)}`;
  return `${error.message}${place ? ", at " + place : ""}${byte}`;
}
const asked = (exchange) => (exchange.request ? `${exchange.request.method} ${exchange.request.target}` : "(request not captured)");
const hostOf = (exchange) => (exchange.request && exchange.request.host) || end(exchange.server);
const reasonOf = (loss) => loss.cause || loss.reason;

// A gap is told when it is given up, behind the last byte that came: it is of a message that is not whole until the connection's next exchange begins.
function lossesWithin(exchange) {
  const of = exchangesOf.get(exchange.connection) || [];
  const next = of.find((other) => other.exchange > exchange.exchange);
  const until = next ? next.ts : Infinity;
  return (lossesOf.get(exchange.connection) || []).filter((loss) => {
    const message = loss.stream === "client" ? exchange.request : exchange.response;
    if (!message) return loss.ts >= exchange.ts && loss.ts <= until;
    const whole = message.body.status === "complete" && !message.body.missing_bytes;
    return loss.ts >= (message.ts ?? exchange.ts) && loss.ts <= (whole ? message.end_ts ?? exchange.ts : until);
  });
}
const exchangesAround = (loss) => (exchangesOf.get(loss.connection) || []).filter((one) => lossesWithin(one).includes(loss));

// --- commands, for a shell
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const captures = summary.captures.map((one) => quoted(one.path.startsWith("-") && one.path !== "-" ? "./" + one.path : one.path)).join(" ");
const followCommand = (connection) => `pcapflow follow ${captures} --connection ${connection}`;
const sliceCommand = (connection) => `pcapflow slice ${captures} --connection ${connection} -o connection-${connection}.pcap`;
const bodiesCommand = (connection, exchange) => `pcapflow bodies ${captures} --where connection=${connection},exchange=${exchange}`;
