"use strict";

// The page of the central: it shows each state that /api/stream sends. Nothing
// here decides anything, and nothing is fetched from elsewhere.

const language = navigator.languages.map((tag) => tag.split("-")[0]).find((tag) => tag in texts) || "en";
const locale = navigator.languages.find((tag) => tag.split("-")[0] === language) || language;
const numbers = new Intl.NumberFormat(locale);
const plurals = new Intl.PluralRules(locale);
// Hours are those of the log, of which there are 24.
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium", hourCycle: "h23" });
const dates = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

const silentAfter = 30; // seconds
const staleAfter = 10000; // milliseconds without a state, of which there is one each second
const reconnectAfter = 3000; // milliseconds
const agedAfter = 10; // seconds since the servers of the ledger last said how they are
const fullAt = 0.8; // of what the ledger may have, as in the alert
const expiresSoon = 30 * 24 * 3600 * 1000; // milliseconds, as in the alert

const byId = (id) => document.getElementById(id);

// say returns a text with its values put in; n chooses between one and many.
function say(key, values = {}) {
  let text = key.split(".").reduce((from, part) => from[part], texts[language]);
  if (typeof text === "object") {
    text = text[plurals.select(values.n)] || text.other;
  }
  return text.replace(/\{(\w+)\}/g, (_, name) =>
    typeof values[name] === "number" ? numbers.format(values[name]) : values[name]);
}

// put changes an element's text only when it is another: what has not changed
// is neither drawn nor read out again.
function put(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function ago(seconds) {
  if (seconds < 120) {
    return say("seconds", { n: Math.round(seconds) });
  }
  return seconds < 7200 ? say("minutes", { n: Math.round(seconds / 60) }) : say("hours", { n: Math.round(seconds / 3600) });
}

function bytes(n) {
  const units = ["kilobyte", "megabyte", "gigabyte"];
  const i = n < 1e6 ? 0 : n < 1e9 ? 1 : 2;
  const value = n / 1000 ** (i + 1);
  return new Intl.NumberFormat(locale, { style: "unit", unit: units[i], maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

// ceiling is what a curve's axis reaches: a round number, so that it seldom
// changes.
function ceiling(rate) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(rate, 10)));
  return unit * [1, 1.5, 2, 3, 4, 6, 8, 10].find((n) => n * unit >= rate);
}

// Curve is the rates of the last seconds, each a step, from the left edge to the
// right one: as many as there have been, and those of the last minutes in the end.
class Curve {
  constructor(svg, rates) {
    this.svg = svg;
    this.rates = rates;
    this.paths = ["area", "line"].map((name) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", name);
      return path;
    });
    svg.replaceChildren(...this.paths);
    this.draw();
  }

  // add appends what came in since the last time. A second that was missed had
  // the same rate, for all that is known.
  add(rate, seconds) {
    this.rates.push(...Array(seconds).fill(rate));
    this.rates.splice(0, this.rates.length - curves.length);
    this.draw();
  }

  draw() {
    const rates = this.rates.length ? this.rates : [0];
    const most = Math.max(...rates);
    this.top = ceiling(most);
    const y = (rate) => (100 - 100 * rate / this.top).toFixed(1);
    let steps = "";
    rates.forEach((rate, i) => {
      if (rate !== rates[i + 1]) {
        steps += `V${y(rate)}H${i + 1}`;
      }
    });
    this.svg.setAttribute("viewBox", `0 0 ${rates.length} 100`);
    this.time = say("seconds", { n: this.rates.length });
    this.svg.setAttribute("aria-label", say("curve_of", { time: this.time, now: rates.at(-1), max: most }));
    this.paths[0].setAttribute("d", `M0,100${steps}V100Z`);
    this.paths[1].setAttribute("d", `M0,${y(rates[0])}${steps}`);
  }
}

// The curves as they were sent, and from then on as they have grown.
let curves = { tick: 0, length: 1, total: null, agencies: [], sent: [] };

function takeCurves(sent) {
  curves = { tick: sent.tick, length: sent.length, total: new Curve(byId("total"), sent.total), agencies: [], sent: sent.agencies };
}

// growCurve brings the curve of row i up to date.
function growCurve(i, rate, seconds) {
  curves.agencies[i] ??= new Curve(row(i).curve, curves.sent[i] || []);
  if (seconds > 0) {
    curves.agencies[i].add(rate, seconds);
  }
}

// row returns the parts of the table's row i, which it makes when there is none.
const rows = [];
function row(i) {
  while (rows.length <= i) {
    const tr = byId("row").content.cloneNode(true).firstElementChild;
    const part = (selector) => tr.querySelector(selector);
    for (const cell of tr.querySelectorAll("[data-label]")) {
      cell.dataset.label = say("labels." + cell.dataset.label);
    }
    rows.push({
      tr, name: part("th"), badge: part(".badge"), note: part(".note"), bets: part(".bets"),
      rate: part(".rate"), curve: part("svg"), winners: part(".winners"),
    });
    byId("agencies").tBodies[0].append(tr);
  }
  return rows[i];
}

function showAgency(agency, i, state, seconds) {
  const parts = row(i);
  if (parts.tr.dataset.state !== agency.state) {
    parts.tr.dataset.state = agency.state;
  }
  put(parts.name, numbers.format(agency.agency));
  put(parts.badge, say("states." + agency.state));
  const notes = [];
  if (state.elsewhere > 0 && agency.central) {
    notes.push(say("at_central", { central: agency.central }));
  }
  const silence = (Date.parse(state.now) - Date.parse(agency.heard)) / 1000;
  if (state.phase === "betting" && (agency.state === "sending" || agency.state === "awaited") && silence >= silentAfter) {
    notes.push(say("silent", { time: ago(silence) }));
  }
  if (agency.refused > 0) {
    notes.push(say("refused", { n: agency.refused }));
  }
  if (state.ledger.kind === "nats" && state.phase === "drawn" && agency.state === "finished") {
    notes.push(say("not_told_here"));
  }
  put(parts.note, notes.join(", "));
  put(parts.bets, numbers.format(agency.bets));
  put(parts.rate, numbers.format(agency.rate));
  put(parts.winners, agency.winners === null ? "–" : numbers.format(agency.winners));
  growCurve(i, agency.rate, seconds);
}

function showDraw(state) {
  let title, more = "";
  switch (state.phase) {
    case "starting":
      title = say("starting");
      break;
    case "betting": {
      title = say("countdown", { finished: state.finished, expected: state.expected });
      const names = state.awaited.map((agency) => numbers.format(agency));
      const left = state.expected - state.finished;
      const list = left > names.length
        ? say("and_more", { list: names.join(", "), n: left - names.length })
        : new Intl.ListFormat(locale).format(names);
      more = say("awaited_are", { n: left, list });
      if (state.deadline) {
        more += " " + say("deadline", { time: dates.format(new Date(state.deadline)) });
      }
      break;
    }
    case "drawing":
      title = say("drawing");
      break;
    default:
      title = say("drawn", { winners: say("n_winners", { n: state.winners }) });
      more = state.drawn_at ? say("drawn_at", { time: clock.format(new Date(state.drawn_at)) }) : "";
  }
  if (state.status === "stopping") {
    more = say("stopping");
  } else if (state.status === "the ledger has failed") {
    more = say("failed");
  } else if (state.status === "hindered") {
    more = say("hindered", { reason: state.reason });
  }
  const isAlarm = ["the ledger has failed", "hindered"].includes(state.status);
  if (state.ledger.problem && !isAlarm && state.status !== "stopping") {
    more = say("ledger_problem", { reason: state.ledger.problem });
  }
  put(byId("countdown"), title);
  put(byId("awaited"), more);
  byId("awaited").toggleAttribute("data-alarm", isAlarm || more !== "" && Boolean(state.ledger.problem));
  const progress = byId("progress");
  progress.max = state.expected;
  progress.value = state.finished;
  const isDrawn = state.phase === "drawn";
  document.title = `${isDrawn ? say("n_winners", { n: state.winners }) : `${state.finished}/${state.expected}`} · Lotería Nacional`;
  const body = document.body;
  if (body.dataset.phase !== state.phase) { // for whom the draw happens now it is an event, for whom it is over it is not
    body.toggleAttribute("data-event", isDrawn && ["betting", "drawing"].includes(body.dataset.phase));
    body.dataset.phase = state.phase;
  }
}

// showActa shows the record of the draw, once it is made. Its digest is compared
// by people: in short, and to be copied whole.
function showActa(acta) {
  byId("acta").hidden = !acta;
  if (!acta) {
    return;
  }
  const signed = say(acta.signed ? "acta_signed" : "acta_unsigned");
  put(byId("acta-made"), say("acta", { time: moments.format(new Date(acta.made)), signed }));
  put(byId("acta-short"), `SHA-256 ${acta.sha256.slice(0, 8)}…${acta.sha256.slice(-8)}`);
  put(byId("acta-sha256"), acta.sha256);
}

// certificateProblem is what to say of the central's certificate, if anything.
function certificateProblem(state) {
  const expires = Date.parse(state.certificate_expires); // NaN without one
  const left = expires - Date.parse(state.now);
  const time = () => dates.format(new Date(expires));
  if (left <= 0) {
    return say("certificate_expired", { time: time() });
  }
  return left < expiresSoon ? say("certificate_expires", { time: time() }) : "";
}

// showProblem shows what is wrong with one thing, as long as something is.
function showProblem(id, text) {
  byId(id).hidden = !text;
  put(byId(id), text);
}

// Problems that are shown, by their numbers; each is made once, so that a
// screen reader reads it out once.
const shown = new Map();

function showProblems(state) {
  const problems = state.problems;
  const ofLedger = state.ledger.problem ? say("ledger_problem", { reason: state.ledger.problem }) : "";
  const ofCertificate = certificateProblem(state);
  showProblem("ledger-problem", ofLedger);
  showProblem("certificate-problem", ofCertificate);
  const n = problems.length + Boolean(ofLedger) + Boolean(ofCertificate);
  byId("none").hidden = n > 0;
  byId("to-problems").hidden = n === 0; // they are below the last agency
  put(byId("to-problems"), say("n_problems", { n }));
  const list = byId("problems");
  const kept = new Set(problems.map((p) => p.number));
  for (const [number, item] of shown) {
    if (!kept.has(number)) {
      item.remove();
      shown.delete(number);
    }
  }
  for (const problem of problems) {
    let item = shown.get(problem.number);
    if (!item) {
      item = byId("problem").content.cloneNode(true).firstElementChild;
    }
    const time = item.querySelector("time");
    time.dateTime = problem.time;
    put(time, clock.format(new Date(problem.time)));
    put(item.querySelector(".who"), problem.agency ? say("agency_n", { n: problem.agency }) : say("somebody"));
    const parts = [texts[language].codes[problem.code] || problem.code];
    if (problem.bets) {
      parts.push(say("lost_bets", { n: problem.bets }));
    }
    if (problem.times > 1) {
      parts.push(say("times", { n: problem.times }));
    }
    put(item.querySelector(".what"), parts.join(", "));
    put(item.querySelector("code"), `${problem.code} ${problem.ip}`);
    if (!shown.has(problem.number)) {
      shown.set(problem.number, item);
      list.prepend(item); // with its text: what is added is read out
    }
  }
}

// showTLS shows what there is of the port for TLS, when there is one.
function showTLS(tls) {
  const of = say("of", { n: tls.handshakes, max: tls.max_handshakes });
  for (const [id, text] of [
    ["tls-connections", numbers.format(tls.connections)],
    ["tls-handshakes", tls.failed_handshakes ? say("tls_failed", { of, n: tls.failed_handshakes }) : of],
  ]) {
    byId(id).hidden = tls.max_handshakes === 0;
    put(byId(id).querySelector("dd"), text);
  }
}

// mark sets an element's text, and whether it is one to worry about.
function mark(element, text, isAlarm) {
  put(element, text);
  element.toggleAttribute("data-alarm", isAlarm);
}

// replicaState is how a server's copy of the ledger is, the worst first.
function replicaState(replica, ledger) {
  if (replica.damaged) {
    return "damaged";
  }
  if (replica.offline) {
    return "offline";
  }
  if (replica.server === ledger.leader) {
    return "leader";
  }
  return replica.current ? "current" : "behind";
}

// showLedger shows the ledger that several centrals share; one in a folder has
// nothing to show.
function showLedger(state) {
  const ledger = state.ledger;
  byId("ledger").hidden = ledger.kind !== "nats";
  if (ledger.kind !== "nats") {
    return;
  }
  put(byId("ledger-central"), state.central || "–");
  mark(byId("ledger-server"), ledger.server || say("ledger_none"), !ledger.server);
  mark(byId("ledger-leader"), ledger.leader || say("ledger_none"), !ledger.leader);
  const current = ledger.replicas.filter((replica) => replica.current).length;
  const all = ledger.replicas.length; // 0 when it is not known
  mark(byId("ledger-current"), all > 0 ? say("of", { n: current, max: all }) : "–", all > 0 && 2 * current <= all);
  const isFull = ledger.limit > 0 && ledger.bytes >= fullAt * ledger.limit;
  const stored = ledger.limit > 0 ? say("of", { n: bytes(ledger.bytes), max: bytes(ledger.limit) }) : bytes(ledger.bytes);
  mark(byId("ledger-bytes"), ledger.asked ? stored : "–", isFull);
  put(byId("ledger-in-flight"), bytes(ledger.in_flight));
  const list = byId("replicas");
  while (list.children.length > ledger.replicas.length) {
    list.lastElementChild.remove();
  }
  ledger.replicas.forEach((replica, i) => {
    if (i === list.children.length) {
      list.append(byId("replica").content.cloneNode(true));
    }
    const item = list.children[i];
    item.dataset.state = replicaState(replica, ledger);
    put(item.querySelector(".server"), replica.server);
    const words = item.dataset.state === "behind" && replica.lag === 0 ? "catching_up" : item.dataset.state;
    put(item.querySelector(".badge"), say("replicas." + words, { n: replica.lag }));
  });
  const age = (Date.parse(state.now) - Date.parse(ledger.asked)) / 1000;
  const isAged = age >= agedAfter || age >= 1 && !ledger.leader; // without a leader nobody knows better
  byId("ledger-age").hidden = !isAged;
  put(byId("ledger-age"), isAged ? say("ledger_age", { time: ago(age) }) : "");
}

function show(state) {
  put(byId("contest"), state.contest);
  showDraw(state);
  showActa(state.acta);
  put(byId("bets"), state.phase === "starting" ? "–" : numbers.format(state.bets));
  put(byId("rate"), numbers.format(state.rate));
  put(byId("connections"), numbers.format(state.connections));
  showTLS(state.tls);
  put(byId("parked"), numbers.format(state.parked_queries));
  put(byId("budget"), say("of", { n: bytes(state.waiting_bytes), max: bytes(state.max_waiting_bytes) }));
  put(byId("window"), say("of", { n: state.window_frames, max: state.max_window_frames }));
  const seconds = Math.min(state.tick - curves.tick, curves.length);
  if (seconds > 0) {
    curves.tick = state.tick;
    curves.total.add(state.rate, seconds);
  }
  put(byId("top"), say("n_per_second", { n: curves.total.top }));
  put(byId("from"), say("before", { time: curves.total.time }));
  showLedger(state);
  state.agencies.forEach((agency, i) => showAgency(agency, i, state, seconds));
  while (rows.length > state.agencies.length) {
    rows.pop().tr.remove(); // another central has fewer
  }
  const more = byId("more");
  more.hidden = state.more === 0;
  put(more, say("more", { n: state.more, from: String(state.agencies.length + 1) }));
  showProblems(state);
}

function showLink(link) {
  const element = byId("link");
  element.dataset.link = link;
  put(element, say(link));
}

// connect follows the stream, and begins anew when that has ended for good, or
// when nothing comes any more: a connection can be gone without an end.
function connect() {
  const stream = new EventSource("api/stream");
  let heard = Date.now();
  const watch = setInterval(() => {
    if (stream.readyState === EventSource.CLOSED || Date.now() - heard > staleAfter) {
      clearInterval(watch);
      stream.close();
      showLink("lost");
      connect();
    }
  }, reconnectAfter);
  stream.addEventListener("curves", (event) => takeCurves(JSON.parse(event.data)));
  stream.addEventListener("state", (event) => {
    heard = Date.now();
    show(JSON.parse(event.data));
    showLink("live");
  });
  stream.addEventListener("error", () => showLink("lost"));
}

document.documentElement.lang = locale;
byId("replicas").setAttribute("aria-label", say("ledger_replicas"));
for (const element of document.querySelectorAll("[data-text]")) {
  element.textContent = say(element.dataset.text);
}
showLink("connecting");
connect();
