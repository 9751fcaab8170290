// The explorer's script. Everything works without it; with it pages are live,
// ids can be copied and found, and the reader chooses the theme.
"use strict";
(() => {
  const root = document.documentElement;
  const $ = (q, at = document) => at.querySelector(q);
  const $$ = (q, at = document) => [...at.querySelectorAll(q)];
  const kept = {
    get(k) { try { return localStorage.getItem(k); } catch { return null; } },
    set(k, v) { try { localStorage.setItem(k, v); } catch { /* private window */ } },
  };

  // Theme: before the body is there, so that nothing flashes.
  const themes = ["auto", "light", "dark"];
  let theme = themes.includes(kept.get("theme")) ? kept.get("theme") : "auto";
  const paint = () => {
    root.classList.toggle("light", theme === "light");
    root.classList.toggle("dark", theme === "dark");
  };
  root.classList.add("js");
  paint();

  // el makes an element; text is text, never markup.
  const el = (name, attrs = {}, ...children) => {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
    e.append(...children);
    return e;
  };
  const group = (n) => (String(n).length < 5 ? String(n) : String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f"));
  const short = (id) => (id.length < 14 ? id : id.slice(0, id.startsWith("0x") ? 6 : 8) + "…" + id.slice(-4));
  const tun = (units) => {
    const [whole, part] = [BigInt(units) / 1000000000n, String(BigInt(units) % 1000000000n).padStart(9, "0").replace(/0+$/, "")];
    return group(whole) + (part ? "." + part : "");
  };
  const link = (path, id) => el("a", { class: "id", href: path + id, "data-id": id, title: id }, short(id));

  // Times are relative to the ledger's, which runs on between blocks.
  let now = 0, stamp = 0, interval = 0, fork = 0, at = 0;
  const ledgerNow = () => now + Math.min(performance.now() - stamp, 2 * interval);
  const largest = (ms) => {
    const s = Math.floor(ms / 1000);
    return s < 120 ? s + " s" : s < 7200 ? Math.floor(s / 60) + " min" : s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";
  };
  const age = (ms) => {
    const d = ledgerNow() - ms;
    return d >= 1000 ? largest(d) + " ago" : d > -1000 ? "now" : "in " + largest(-d);
  };
  const time = (ms) => {
    const iso = new Date(ms).toISOString();
    return el("time", { datetime: iso, "data-ms": ms, title: iso.slice(0, 19).replace("T", " ") + " UTC" }, age(ms));
  };
  const retime = () => { if (now) for (const t of $$("time[data-ms]")) { const a = age(+t.dataset.ms); if (t.textContent !== a) t.textContent = a; } };

  let asked = false;
  const soon = () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; retime(); }); } };

  const say = (text) => { const s = $("#said"); s.textContent = ""; setTimeout(() => { s.textContent = text; }, 50); };

  // Copying: a button, or c on a focused id.
  const copy = async (text, button) => {
    let ok = true;
    try { await navigator.clipboard.writeText(text); } catch {
      const t = el("textarea", { class: "hidden", readonly: "" });
      t.value = text;
      document.body.append(t);
      t.select();
      ok = document.execCommand("copy");
      t.remove();
    }
    say(ok ? "copied" : "could not be copied");
    if (ok && button) { button.classList.add("done"); setTimeout(() => button.classList.remove("done"), 1500); }
  };

  // The same id, wherever it stands on the page.
  let lit = "";
  const light = (id) => {
    if (id === lit) return;
    for (const e of $$(".same")) e.classList.remove("same");
    lit = id;
    if (!id) return;
    const all = $$(`[data-id="${CSS.escape(id)}"]`);
    if (all.length > 1) for (const e of all) e.classList.add("same");
  };
  const idAt = (e) => (e.target.closest && e.target.closest("[data-id]")?.dataset.id) || "";

  const show = (name, value) => { for (const e of $$(`[data-show="${name}"]`)) if (e.textContent !== value) e.textContent = value; };
  const add = (name, n) => { for (const e of $$(`[data-add="${name}"]`)) { e.dataset.n = String(BigInt(e.dataset.n || 0) + BigInt(n)); e.textContent = e.dataset.tun === undefined ? group(e.dataset.n) : tun(e.dataset.n); } };

  const sender = (d) => (d.sender ? link("/accounts/", d.sender) : "the ledger");

  // What the feed says of an event.
  const words = {
    epoch: (d) => ["epoch", "info", el("a", { href: "/epochs/" + d.epoch }, "Epoch " + group(d.epoch)), ` began: ${d.listed} listed` + (d.joined.length ? `, ${d.joined.length} joined` : "") + (d.left.length ? `, ${d.left.length} left` : "")],
    node: (d) => ["node", "info", "Node ", link("/nodes/", d.node), ` is ${d.to}: ${d.reason}`],
    slash: (d) => [d.basis === "vote" ? "verdict" : "slash", "bad", link("/nodes/", d.node), d.basis === "vote" ? " was found " : ` lost ${tun(d.slashed)} TUN for `, el("a", { href: "/slashes/" + d.offence }, d.kind), `, by ${d.basis}`],
    transaction: (d) => ["transaction", "", el("a", { href: "/transactions/" + d.id }, d.kind), " by ", sender(d), d.result === "ok" ? "" : " refused: " + d.result],
    params: (d) => ["params", "info", el("a", { href: "/params" }, "Parameters " + d.number), " came into force"],
  };
  const maxRows = 30;
  const feed = (type, d) => {
    const list = $("#feed");
    const w = list && words[type] && words[type](d);
    if (!w) return;
    const [label, tone, ...rest] = w;
    // The page may have been made while this block was.
    const about = rest.findLast((c) => c.pathname && !c.dataset.id) || rest.find((c) => c.pathname);
    if (type !== "node" && about && [list, ...pendingRows].some((e) => $(`a[href="${about.pathname}"]`, e))) return;
    const li = el("li", { class: "new " + type + (d.basis === "vote" ? " vote" : "") },
      el("span", {}, el("span", { class: "badge " + (tone || "plain") }, label)), el("span", { class: "what" }, ...rest), time(d.time_ms || now));
    if (type === "slash") { flush(); put(list, [li]); return; }
    pendingRows.unshift(li);
    if (pendingRows.length > maxRows) pendingRows.pop();
    if (!flushing) { flushing = true; setTimeout(() => { flushing = false; flush(); }, 300); }
  };
  // Rows come together, a few times a second at most, and wait while the reader's
  // pointer or focus is in the list; a slash does neither.
  let pendingRows = [], flushing = false;
  const put = (list, rows) => {
    $("#feed-empty")?.remove();
    list.ariaLive = rows.length > 3 ? "off" : "polite"; // a crowd is not read out
    list.prepend(...rows);
    while (list.children.length > maxRows) list.lastElementChild.remove();
  };
  const flush = () => {
    const list = $("#feed");
    if (!list || !pendingRows.length || list.matches(":hover, :focus-within")) return;
    put(list, pendingRows);
    pendingRows = [];
  };

  // Rows of the newest blocks and transactions on the overview.
  const row = (body, most, ...cells) => {
    if (!body) return;
    if ($(`a[href="${cells[0][2].pathname}"]`, body)) return;
    $(".nothing", body)?.remove();
    body.prepend(el("tr", { class: "new" }, ...cells.map(([label, cls, ...c]) => el("td", { "data-label": label, class: cls }, ...c))));
    while (body.children.length > most) body.lastElementChild.remove();
  };
  const badge = (tone, text) => el("span", { class: "badge " + tone }, text);

  // The bar of nodes by state, from the counts below it.
  const bar = () => {
    const parts = $$("rect[data-state]").map((r) => [r, Number($(`[data-add="state-${r.dataset.state}"]`)?.dataset.n || 0)]);
    const all = parts.reduce((sum, [, n]) => sum + n, 0);
    let x = 0;
    for (const [r, n] of parts) {
      const w = all ? 1000 * n / all : 0;
      r.setAttribute("x", x); r.setAttribute("width", w);
      x += w;
    }
  };

  let news = 0, stale = false;
  const events = {
    head(d) {
      if (d.fork > fork || d.height < at) { fork = d.fork; gone(); } // a dev network went back, or began anew
      at = d.height;
      now = d.time_ms; stamp = performance.now();
      show("height", group(d.height)); show("epoch", group(d.epoch)); show("listed", group(d.listed));
      for (const e of $$("[data-head-time]")) e.replaceChildren(time(d.time_ms));
      row($("#newest-blocks"), 11, ["Height", "", el("a", { href: "/blocks/" + d.height }, group(d.height))], ["Hash", "wide", link("/blocks/", d.hash)],
        ["Transactions", "num", group(d.transactions)], ["Sealed", "num", time(d.time_ms)]);
      soon();
    },
    epoch(d) {
      show("listed", group(d.listed));
      for (const e of $$("[data-ends]")) {
        const { ends, epoch, length } = e.dataset;
        e.dataset.ends = Number(ends) + (d.epoch - epoch) * length;
        e.dataset.epoch = d.epoch;
        e.replaceChildren(time(Number(e.dataset.ends)));
      }
    },
    node(d) { add("state-" + d.from, -1); add("state-" + d.to, 1); bar(); },
    slash(d) { add("slashes", 1); add("slashed", d.slashed); add("burned", d.burned); add("bonded", -BigInt(d.slashed)); say(`Node ${short(d.node)} was punished: ${d.kind}`); },
    transaction(d) {
      row($("#newest-transactions"), 8, ["Kind", "", el("a", { href: "/transactions/" + d.id }, d.kind)], ["Sender", "", sender(d)],
        ["Result", "", badge(d.result === "ok" ? "good" : "bad", d.result)], ["Block", "num", el("a", { href: "/blocks/" + d.height }, group(d.height))]);
    },
    params() {},
  };
  const nouns = { head: ["block", "blocks"], epoch: ["epoch", "epochs"], node: ["change of a node", "changes of nodes"], slash: ["slash", "slashes"], transaction: ["transaction", "transactions"], params: ["change", "changes"] };

  // News on a page that is being read is announced, and shown when asked for.
  const offer = (text) => {
    const p = $(".fresh");
    const url = new URL(location.href);
    url.searchParams.delete("cursor");
    if (p.hidden) say("something new; the link is before the content");
    p.replaceChildren(el("a", { href: url.pathname + url.search }, text));
    p.hidden = false;
  };
  const announce = (type, raw) => {
    const { live, of } = document.body.dataset;
    if (stale || !live || live.includes(",") || live !== type || (of && !raw.includes(of))) return;
    news++;
    offer(`${news} new ${nouns[type][news === 1 ? 0 : 1]} – show`);
  };

  // The stream. One a page; none while the page is hidden or paused.
  let source = null, paused = kept.get("live") === "off", last = 0, old = false, away = false;
  const state = (name, text) => {
    const b = $(".live");
    b.className = "tool live " + name;
    b.setAttribute("aria-pressed", String(!paused));
    if (b.lastChild.textContent !== text) b.lastChild.textContent = b.title = text;
  };
  const close = () => { source?.close(); source = null; };
  // What the page shows has no way to what is now: a page that is live by itself begins anew, others say so.
  const gone = () => {
    old = stale = true;
    const { live } = document.body.dataset;
    if (live.includes(",")) location.reload();
    else if (live) offer("This page is old – load it again");
  };
  // Who was away may be another network now, which has no block after the page's.
  const recheck = async () => {
    try {
      const s = await (await fetch("/v1/status")).json();
      if (s.genesis_hash && (s.genesis_hash !== document.body.dataset.genesis || s.height < at)) gone();
    } catch { /* away again */ }
  };
  const open = () => {
    close();
    if (paused) return state("off", "paused");
    if (document.hidden) return;
    const q = new URLSearchParams({ types: document.body.dataset.types });
    // From the block after the page's own: nothing is missed between the two.
    const since = last || Number(document.body.dataset.height || 0);
    if (since && !old) q.set("since", String(since + 1));
    source = new EventSource("/v1/events?" + q);
    const mine = source;
    state("", "connecting");
    source.onopen = () => { state("on", "live"); if (away) { away = false; recheck(); } };
    source.onerror = () => {
      away = true;
      state("off", "reconnecting");
      if (mine.readyState !== EventSource.CLOSED) return; // it comes back by itself
      // Refused: too many streams, or what is asked for is too long ago. From now on, then.
      if (document.body.dataset.live && !document.body.dataset.live.includes(",")) gone();
      old = true;
      close();
      setTimeout(() => { if (!source) open(); }, 5000);
    };
    for (const type of Object.keys(events)) {
      source.addEventListener(type, (e) => {
        let d;
        try { d = JSON.parse(e.data); } catch { return; }
        if (d.height) { last = d.height; old = false; }
        events[type](d);
        feed(type, d);
        announce(type, e.data);
        document.dispatchEvent(new CustomEvent("tunic:" + type, { detail: d }));
        if (type === "head") { state("on", "live"); void $(".live").offsetWidth; $(".live").classList.add("beat"); }
      });
    }
    source.addEventListener("cut", (e) => {
      if (e.data.includes("gone")) gone();
      away = true;
      close();
      state("off", "reconnecting");
      setTimeout(() => { if (!source) open(); }, 2000);
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    const b = document.body.dataset;
    now = Number(b.now || 0); interval = Number(b.interval || 0); fork = Number(b.fork || 0); at = Number(b.height || 0); stamp = performance.now();
    const t = $(".theme"), live = $(".live"), here = $(".top [aria-current]"), nav = $(".top nav");
    if (here) nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
    const name = () => { t.firstChild.textContent = theme; t.setAttribute("aria-label", "Theme: " + theme); };
    t.hidden = false; name();
    t.addEventListener("click", () => { theme = themes[(themes.indexOf(theme) + 1) % 3]; kept.set("theme", theme); paint(); name(); say("theme " + theme); });
    if (now && window.EventSource) {
      live.hidden = false;
      live.addEventListener("click", () => { paused = !paused; kept.set("live", paused ? "off" : "on"); open(); });
      let left = performance.now();
      document.addEventListener("visibilitychange", () => {
        if (document.hidden) { left = performance.now(); close(); return; }
        if (performance.now() - left > 60000 && !paused) gone();
        open();
      });
      window.addEventListener("pagehide", close);
      window.addEventListener("pageshow", (e) => { if (e.persisted) open(); });
      open();
    }
    setInterval(() => { if (!document.hidden) { retime(); flush(); } }, 1000);
  });

  document.addEventListener("click", (e) => { const c = e.target.closest(".copy"); if (c) copy(c.dataset.copy, c); });
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input, textarea, select")) return;
    if (e.key === "/") { e.preventDefault(); $("#q").focus(); $("#q").select(); }
    if (e.key === "c" && e.target.dataset?.id) { e.preventDefault(); copy(e.target.dataset.id, e.target.nextElementSibling); }
  });
  for (const type of ["mouseover", "focusin"]) document.addEventListener(type, (e) => light(idAt(e)));
  document.addEventListener("focusout", () => light(""));
})();
