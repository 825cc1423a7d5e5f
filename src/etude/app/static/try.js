// Something to try: controls from the demo's description, a guess first, then the answer. All inputs, and so exactly this
// view, stand in the page's address behind '#'.
const root = document.getElementById("try");
if (root) {
  const demo = JSON.parse(document.getElementById("demo").textContent);
  const inputs = document.getElementById("inputs"), answers = document.getElementById("answers"), guessBox = document.getElementById("guess");
  const given = {}, controls = {};
  let guessed = null, asked = 0, shown = 0, timer = 0;

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) key in element && key !== "list" ? (element[key] = value) : element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // -- the address ------------------------------------------------------------------------------------------------
  const pack = (levels) => btoa(String.fromCharCode(...levels.reduce((out, v, k) => { const four = v >> 4; k % 2 ? out[out.length - 1] |= four : out.push(four << 4); return out; }, [])));
  const unpack = (text, n) => { const bytes = [...atob(text)].map((c) => c.charCodeAt(0)); return Array.from({ length: n }, (_, k) => 17 * (k % 2 ? bytes[k >> 1] & 15 : bytes[k >> 1] >> 4)); };
  const query = root.dataset.run ? `?run=${root.dataset.run}` : ""; // whose network
  const remembered = new URLSearchParams(location.hash.slice(1));
  function remember() {
    const state = new URLSearchParams();
    for (const [name, control] of Object.entries(demo.inputs)) {
      const value = given[name];
      if (value === undefined) continue;
      state.set(name, control.kind === "drawing" ? pack(value) : control.kind === "points" ? value.map((p) => p.join(",")).join(";") : String(value));
    }
    history.replaceState(null, "", `${location.pathname}${query}#${state}`);
  }
  function recall(name, control) {
    const text = remembered.get(name);
    if (text === null) return undefined;
    try {
      if (control.kind === "drawing") return unpack(text, control.size ** 2);
      if (control.kind === "points") return text.split(";").filter(Boolean).map((p) => p.split(",").map(Number));
      return control.kind === "slider" ? Number(text) : text;
    } catch { return undefined; }
  }

  // -- controls ---------------------------------------------------------------------------------------------------
  function changed(name, value, soon = demo.live) {
    given[name] = value;
    remember();
    if (!soon) return;
    clearTimeout(timer);
    timer = setTimeout(ask, 60);
  }

  function examplesRow(examples, choose) {
    const names = Object.keys(examples);
    return names.length ? make("p", { className: "row" }, make("span", { className: "quiet", textContent: "Examples:" }),
      ...names.map((key) => make("button", { type: "button", className: "plain", textContent: key, onclick: () => choose(examples[key]) }))) : "";
  }

  // A place on a canvas that the arrow keys move; act(from, to, event), each from 0 to 1. It shows while keys are used.
  function keyed(canvas, act) {
    const caret = make("span", { className: "caret none" });
    let at = [.5, .5];
    canvas.setAttribute("role", "application");
    canvas.addEventListener("pointerdown", () => caret.classList.add("none"));
    canvas.addEventListener("blur", () => caret.classList.add("none"));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Enter: [0, 0], " ": [0, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      const to = at.map((v, k) => Math.min(.97, Math.max(.03, v + step[k] / 20)));
      act(at, to, event);
      at = to;
      caret.classList.remove("none");
      [caret.style.left, caret.style.top] = at.map((v) => `${100 * v}%`);
    });
    return make("div", { className: "held" }, canvas, caret);
  }

  const builders = {
    drawing(name, control) {
      const n = control.size, canvas = make("canvas", { className: "pad", width: 280, height: 280, tabIndex: 0 });
      canvas.setAttribute("aria-label", `${control.label}: draw with the mouse, a finger, or the arrow keys with Shift held`);
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      const small = make("canvas", { width: n, height: n }).getContext("2d", { willReadFrequently: true });
      const clear = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, 280, 280); };
      const read = () => {
        small.imageSmoothingEnabled = true; small.imageSmoothingQuality = "high";
        small.drawImage(canvas, 0, 0, n, n);
        const { data } = small.getImageData(0, 0, n, n);
        return Array.from({ length: n * n }, (_, k) => data[4 * k]);
      };
      const put = (levels) => {
        const image = small.createImageData(n, n);
        levels.forEach((v, k) => { image.data.set([v, v, v, 255], 4 * k); });
        small.putImageData(image, 0, 0);
        pen.imageSmoothingEnabled = true; pen.drawImage(small.canvas, 0, 0, 280, 280);
      };
      let last = null;
      const place = (event) => { const box = canvas.getBoundingClientRect(); return [(event.clientX - box.left) * 280 / box.width, (event.clientY - box.top) * 280 / box.height]; };
      const line = (from, to) => { pen.strokeStyle = "#fff"; pen.lineWidth = 22; pen.lineCap = "round"; pen.beginPath(); pen.moveTo(...from); pen.lineTo(to[0] + .01, to[1]); pen.stroke(); changed(name, read()); };
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = place(event); line(last, last); });
      canvas.addEventListener("pointermove", (event) => { if (last) { const now = place(event); line(last, now); last = now; } });
      canvas.addEventListener("pointerup", () => { last = null; });
      const drawnOn = keyed(canvas, (from, to, event) => { if (event.shiftKey) line(from.map((v) => v * 280), to.map((v) => v * 280)); });
      clear();
      const begun = recall(name, control);
      if (begun) { put(begun); given[name] = begun; }
      return make("div", {}, make("p", { textContent: control.label }), drawnOn,
        make("p", { className: "row" }, make("button", { type: "button", textContent: "Clear", onclick: () => { clear(); delete given[name]; remember(); askGuess(); } })),
        examplesRow(control.examples, (levels) => { clear(); put(levels); changed(name, levels); }));
    },
    slider(name, control) {
      const value = recall(name, control) ?? control.default, output = make("output", { textContent: value });
      given[name] = value;
      const id = `i-${name}`, range = make("input", { type: "range", id, min: control.low, max: control.high, step: control.step, value });
      range.addEventListener("input", () => { output.textContent = range.value; changed(name, Number(range.value)); });
      return make("div", { className: "field" }, make("label", { htmlFor: id }, `${control.label} `, output), range);
    },
    choice(name, control) {
      const value = recall(name, control) ?? (control.default || control.options[0]), id = `i-${name}`;
      given[name] = value;
      const select = make("select", { id }, ...control.options.map((text) => make("option", { textContent: text, selected: text === value })));
      select.addEventListener("change", () => changed(name, select.value));
      return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: control.label }), select);
    },
    words(name, control) {
      const value = recall(name, control) ?? (control.default || control.examples[0] || ""), id = `i-${name}`;
      given[name] = value;
      const area = make("textarea", { id, rows: 3, value, maxLength: control.longest, style: "width:100%" });
      area.addEventListener("input", () => changed(name, area.value));
      const examples = Object.fromEntries(control.examples.map((text) => [text.length > 40 ? text.slice(0, 38) + "…" : text, text]));
      return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: control.label }), area,
        examplesRow(examples, (text) => { area.value = text; changed(name, text); }));
    },
    points(name, control) {
      const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"], canvas = make("canvas", { className: "pad points", width: 352, height: 352, tabIndex: 0 });
      canvas.setAttribute("aria-label", `${control.label}; or go there by the arrow keys and press Enter`);
      const pen = canvas.getContext("2d");
      let label = 0, points = recall(name, control) ?? Object.values(control.examples)[0]?.map((p) => [...p]) ?? [];
      given[name] = points;
      const draw = () => {
        pen.clearRect(0, 0, 352, 352);
        for (const [x, y, k] of points) { pen.fillStyle = colours[k]; pen.beginPath(); pen.arc((x + 1) * 176, (1 - y) * 176, 4.5, 0, 7); pen.fill(); }
      };
      canvas.addEventListener("pointerdown", (event) => {
        const box = canvas.getBoundingClientRect();
        place((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      });
      const place = (x, y) => {
        points = [...points, [+(2 * x - 1).toFixed(3), +(1 - 2 * y).toFixed(3), label]].slice(-control.most);
        draw(); changed(name, points);
      };
      const placedOn = keyed(canvas, (from, to, event) => { if (event.key === "Enter" || event.key === " ") place(...to); });
      draw();
      const buttons = Array.from({ length: control.classes }, (_, k) => make("button", { type: "button", textContent: `class ${k + 1}`, onclick: (event) => {
        label = k; for (const other of buttons) other.setAttribute("aria-pressed", other === event.currentTarget); } }));
      buttons[0].setAttribute("aria-pressed", "true");
      return make("div", {}, make("p", { textContent: control.label }), placedOn, make("p", { className: "row" }, ...(control.classes > 1 ? buttons : []),
        make("button", { type: "button", textContent: "Clear", onclick: () => { points = []; draw(); changed(name, points, false); } })),
        examplesRow(control.examples, (list) => { points = list.map((p) => [...p]); draw(); changed(name, points); }));
    },
  };
  for (const [name, control] of Object.entries(demo.inputs)) { controls[name] = builders[control.kind](name, control); inputs.append(controls[name]); }
  if (!demo.live) inputs.append(make("p", {}, make("button", { type: "button", className: "main", textContent: "Show", onclick: () => ask() })));

  // -- the guess --------------------------------------------------------------------------------------------------
  function askGuess() {
    guessed = null;
    answers.replaceChildren();
    const settle = (choice) => {
      guessed = choice;
      guessBox.replaceChildren(choice ? make("p", { className: "quiet" }, make("span", { id: "guessed", textContent: `Your guess: ${choice}. ` }),
        make("button", { type: "button", className: "plain", textContent: "Guess again", onclick: askGuess })) : "");
      ask();
    };
    const own = make("input", { ariaLabel: "Your guess", maxLength: 80, size: 24 });
    guessBox.replaceChildren(make("form", { className: "guess", onsubmit: (event) => { event.preventDefault(); settle(own.value.trim()); } },
      make("p", { textContent: "What do you expect?" }),
      make("div", { className: "row" }, ...(demo.guesses.length ? demo.guesses.map((text) => make("button", { type: "button", textContent: text, onclick: () => settle(text) })) : [own, make("button", { textContent: "See" })]),
        make("button", { type: "button", className: "plain", textContent: "Just show me", onclick: () => settle("") }))));
  }

  // -- the answer -------------------------------------------------------------------------------------------------
  async function ask() {
    if (Object.keys(demo.inputs).some((name) => given[name] === undefined)) {
      if (guessed !== null) answers.replaceChildren(make("p", { className: "quiet", textContent: "Nothing is drawn yet. Draw, or take an example." }));
      return;
    }
    if (guessed === null) { if (!demo.live) guessBox.querySelector("button, input").focus(); return; }
    const number = ++asked;
    const late = setTimeout(() => { if (number === asked) answers.replaceChildren(make("p", { className: "quiet waiting", textContent: "One moment …" })); }, answers.children.length && demo.live ? 3000 : 300);
    try {
      const answer = await fetch(root.dataset.address + query, { method: "POST", headers: { "content-type": "application/json", accept: "application/json" }, body: JSON.stringify(given) });
      const found = await answer.json();
      if (number < shown) return;
      shown = number;
      clearTimeout(late);
      answers.replaceChildren(...(answer.ok ? found.map(show) : [make("p", { className: "notice wrong", textContent: found.error })]));
      const top = answer.ok && found.find((part) => part.kind === "bars" && guessed in part.values), said = document.getElementById("guessed");
      if (top && said) said.textContent = `Your guess: ${guessed}. It says ${largest(top.values)}. `;
    } catch { clearTimeout(late); answers.replaceChildren(make("p", { className: "notice wrong", textContent: "The server does not answer. Is 'etude app' still running?" })); }
  }

  const largest = (values) => Object.keys(values).reduce((a, b) => (values[a] >= values[b] ? a : b));
  // A position from 0 to last that plays, pauses, and goes one step; go(k) shows it.
  function player(last, go, pace) {
    let at = 0, playing = 0;
    const range = make("input", { type: "range", min: 0, max: last, value: 0, style: "width:100%", ariaLabel: "Step" });
    const to = (k) => { at = k; range.value = k; go(k); };
    const play = make("button", { type: "button", onclick: () => toggle() });
    const toggle = (on = !playing) => {
      clearInterval(playing); playing = 0;
      if (on && at === last) to(0);
      if (on) playing = setInterval(() => { if (!range.isConnected) return clearInterval(playing); if (at < last) to(at + 1); if (at === last) toggle(false); }, pace);
      play.textContent = on ? "Pause" : at === last ? "Play again" : "Play";
    };
    range.addEventListener("input", () => { toggle(false); to(Number(range.value)); });
    to(0);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) { to(last); toggle(false); } else setTimeout(() => toggle(true));
    return [range, make("p", { className: "row" }, play, make("button", { type: "button", textContent: "One step", onclick: () => { toggle(false); to((at + 1) % (last + 1)); toggle(false); } }))];
  }

  const shows = {
    bars({ values }) {
      const top = largest(values);
      return make("div", { className: "bars" }, ...Object.entries(values).flatMap(([name, value]) => {
        const mark = name === top ? " top-one" : "";
        return [make("span", { className: mark, textContent: name }), make("span", { className: "bar" + mark }, make("i", { style: `width:${(100 * value).toFixed(1)}%` })), make("span", { className: mark, textContent: value.toFixed(3) })];
      }));
    },
    pictures({ images, width, smooth }) {
      return make("div", { className: `strip${smooth ? " smooth" : ""}` }, ...images.map(([caption, src]) => make("figure", {}, make("img", { src, width, alt: caption || "picture" }), make("figcaption", { textContent: caption }))));
    },
    frames({ images, width, smooth }) {
      const image = make("img", { width, alt: "" }), caption = make("span", { className: "quiet" });
      const [range, row] = player(images.length - 1, (k) => { [caption.textContent, image.src] = images[k]; image.alt = images[k][0]; }, 90);
      row.append(caption);
      return make("div", { className: `player${smooth ? " smooth" : ""}`, style: `max-width:${width}px` }, image, range, row);
    },
    tokens({ pieces, notes, given: first }) {
      const note = make("p", { className: "quiet note", textContent: notes.length ? "Point at a piece to see its chances." : "" });
      const spans = pieces.map(([text, weight], k) => make("span", { textContent: text.replace(/\n$/, "↵\n"), style: `background:color-mix(in srgb, var(--shade) ${Math.round(100 * weight)}%, transparent)`,
        title: notes[k] ?? weight.toFixed(2), onpointerenter: () => tell(k) }));
      const tell = (k) => { if (notes[k]) note.textContent = notes[k]; };
      const text = make("p", { className: "tokens" }, ...spans);
      if (first === null) return make("div", {}, text, notes.length ? note : "");
      const ahead = (k) => { spans.forEach((span, n) => { span.classList.toggle("later", n >= first + k); span.classList.toggle("now", n === first + k - 1 && k > 0 && k < spans.length - first); }); if (k) tell(first + k - 1); };
      return make("div", {}, text, note, ...player(spans.length - first, ahead, 30));
    },
    grid({ title, rows, columns, values }) {
      const shade = (value, row, column) => make("td", { title: `${row} → ${column}: ${value.toFixed(2)}`, ariaLabel: value.toFixed(2), style: `background:color-mix(in srgb, var(--shade) ${Math.round(100 * value)}%, var(--soft))` });
      const slanted = columns.some((name) => name.length > 2);
      return make("div", { className: "wide" }, make("table", { className: `grid${slanted ? " slanted" : ""}`, ariaLabel: title },
        make("thead", {}, make("tr", {}, make("td"), ...columns.map((name) => make("th", { scope: "col" }, make("span", { textContent: name }))))),
        make("tbody", {}, ...values.map((line, k) => make("tr", {}, make("th", { scope: "row", textContent: rows[k] }), ...line.map((value, n) => shade(value, rows[k], columns[n])))))));
    },
    said({ text }) { return make("p", { textContent: text }); },
  };
  function show(answer) {
    return make("section", {}, answer.title ? make("h3", { textContent: answer.title }) : "", shows[answer.kind](answer));
  }

  askGuess();
  remember();
}
