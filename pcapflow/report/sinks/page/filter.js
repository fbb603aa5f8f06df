// What a filter says: words, all of which a row shows; `status:5xx`, `path:/api` where its table has such a field; `>500ms`, `<1s` for its duration.
const UNITS = { us: 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, ms: 1e-3, s: 1, min: 60 };
const LONGER = /^([<>])=?(\d+(?:\.\d+)?|\.\d+)(us|\u00b5s|\u03bcs|ms|s|min)$/;
const FIELD = /^([a-z]+):(.+)$/;

function term(word, fields, hasDuration) {
  const longer = hasDuration && LONGER.exec(word);
  if (longer) {
    const seconds = Number(longer[2]) * UNITS[longer[3]];
    return longer[1] === ">" ? (entry) => entry.duration !== null && entry.duration > seconds : (entry) => entry.duration !== null && entry.duration < seconds;
  }
  const field = FIELD.exec(word);
  if (field && Object.hasOwn(fields, field[1])) {
    const [, key, value] = field;
    const matches = key === "status" ? (text) => (/^\dxx$/.test(value) ? text.length === 3 && text[0] === value[0] : text.startsWith(value)) : (text) => text.includes(value);
    return (entry) => matches(String(fields[key](entry.row) ?? "").toLowerCase());
  }
  return (entry) => entry.text.includes(word);
}
function filtered(entries, text, fields, hasDuration) {
  const terms = text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => term(word, fields, hasDuration));
  return terms.length ? entries.filter((entry) => terms.every((matches) => matches(entry))) : entries;
}
