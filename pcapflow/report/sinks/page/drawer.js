// The drawer at the page's side: what it shows is made by `evidence.js`. A dialog: Escape closes it, and the focus goes back to where it was opened.
const drawer = document.getElementById("drawer");
const drawerBody = document.getElementById("drawer-body");
const drawerBack = document.getElementById("drawer-back");
const told = document.getElementById("told");
let path = [];

function show(make) {
  path.push(make);
  render();
}
function render() {
  drawerBack.hidden = path.length < 2;
  drawerBody.replaceChildren(...path[path.length - 1]());
  drawerBody.querySelector("h2").id = "drawer-title";
  if (!drawer.open) drawer.showModal();
  drawer.scrollTop = 0;
  drawerBody.querySelector("h2").focus();
}
drawerBack.addEventListener("click", () => {
  path.pop();
  render();
});
document.getElementById("drawer-close").addEventListener("click", () => drawer.close());
drawer.addEventListener("close", () => (path = []));
drawer.addEventListener("click", (event) => {
  if (event.target === drawer) drawer.close();
});

// --- what drawers are made of
const title = (text) => h("h2", { tabindex: "-1" }, text);
const part = (heading, ...inside) => h("section", {}, h("h3", {}, heading), inside);
const note = (...inside) => h("p", { class: "note" }, inside);
function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return h("dl", { class: "facts" }, rows.map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, value))));
}
function grid(heads, rows, label) {
  return h("div", { class: "scroll" }, h("table", { class: "small", "aria-label": label },
    h("thead", {}, h("tr", {}, heads.map((one, i) => h("th", { scope: "col", class: i ? "number" : "" }, one)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) => (i ? h("td", { class: "number" }, cell) : h("th", { scope: "row" }, cell))))))));
}
async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(from.parentNode.querySelector("code"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  }
  from.textContent = "Copied";
  told.textContent = "Copied";
  setTimeout(() => (from.textContent = "Copy"), 2000);
}
function command(what, text) {
  const act = button("Copy", (event) => copy(text, event.currentTarget), { class: "copy", "aria-label": `Copy: ${what}` });
  return h("div", { class: "command" }, h("p", {}, what), h("div", {}, h("code", {}, text), act));
}
function commands(connection, exchange) {
  const some = [command("Print what both sides said", followCommand(connection))];
  if (exchange !== undefined) some.push(command("Print the bodies of this exchange", bodiesCommand(connection, exchange)));
  some.push(command("Write the packets of this connection to a capture", sliceCommand(connection)));
  return part("Commands", some);
}

// --- links between what belongs together
const link = (text, act, attributes = {}) => button(text, act, { class: "link", ...attributes });
const toConnection = (n) => link("#" + n, () => show(() => connectionDrawer(n)), { "aria-label": `Connection ${n}` });
const openExchange = (exchange) => () => show(() => exchangeDrawer(exchange));
const openLoss = (loss) => () => show(() => lossDrawer(loss));
const openPlace = (place) => {
  const kept = exchanges.get(name(place));
  return kept ? openExchange(kept) : () => show(() => placeDrawer(place));
};
const packetOf = (row) => (row.file ? `frame ${row.frame} of ${row.file}` : `packet ${number(row.packet)}`);
