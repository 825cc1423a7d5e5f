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
  const remembered = new URLSearchParams(location.hash.slice(1));
  function remember() {
    const state = new URLSearchParams();
    for (const [name, control] of Object.entries(demo.inputs)) {
      const value = given[name];
      if (value === undefined) continue;
      state.set(name, control.kind === "drawing" ? pack(value) : control.kind === "points" ? value.map((p) => p.join(",")).join(";") : String(value));
    }
    history.replaceState(null, "", "#" + state);
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

  const builders = {
    drawing(name, control) {
      const n = control.size, canvas = make("canvas", { className: "pad", width: 280, height: 280, tabIndex: 0 });
      canvas.setAttribute("aria-label", `${control.label}: draw with the mouse, a finger, or the arrow keys with Shift held`);
      canvas.setAttribute("role", "img");
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
      let last = null, caret = [140, 140];
      const place = (event) => { const box = canvas.getBoundingClientRect(); return [(event.clientX - box.left) * 280 / box.width, (event.clientY - box.top) * 280 / box.height]; };
      const line = (from, to) => { pen.strokeStyle = "#fff"; pen.lineWidth = 22; pen.lineCap = "round"; pen.beginPath(); pen.moveTo(...from); pen.lineTo(to[0] + .01, to[1]); pen.stroke(); changed(name, read()); };
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = place(event); line(last, last); });
      canvas.addEventListener("pointermove", (event) => { if (last) { const now = place(event); line(last, now); last = now; } });
      canvas.addEventListener("pointerup", () => { last = null; });
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-14, 0], ArrowRight: [14, 0], ArrowUp: [0, -14], ArrowDown: [0, 14] }[event.key];
        if (!step) return;
        event.preventDefault();
        const to = [Math.min(270, Math.max(10, caret[0] + step[0])), Math.min(270, Math.max(10, caret[1] + step[1]))];
        if (event.shiftKey) line(caret, to);
        caret = to;
      });
      clear();
      const begun = recall(name, control);
      if (begun) { put(begun); given[name] = begun; }
      return make("div", {}, make("p", { textContent: control.label }), canvas,
        make("p", { className: "row" }, make("button", { type: "button", textContent: "Clear", onclick: () => { clear(); delete given[name]; remember(); answers.replaceChildren(); askGuess(); } })),
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
      const value = recall(name, control) ?? control.default, id = `i-${name}`;
      given[name] = value;
      const area = make("textarea", { id, rows: 3, value, maxLength: control.longest, style: "width:100%" });
      area.addEventListener("input", () => changed(name, area.value));
      const examples = Object.fromEntries(control.examples.map((text) => [text.length > 40 ? text.slice(0, 38) + "…" : text, text]));
      return make("div", { className: "field" }, make("label", { htmlFor: id, textContent: control.label }), area,
        examplesRow(examples, (text) => { area.value = text; changed(name, text); }));
    },
    points(name, control) {
      const colours = ["#2f6db3", "#d9622b", "#3a9a6b", "#8e5bb0"], canvas = make("canvas", { className: "pad points", width: 352, height: 352, tabIndex: 0 });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${control.label}: click to place a point of the chosen class`);
      const pen = canvas.getContext("2d");
      let label = 0, points = recall(name, control) ?? Object.values(control.examples)[0]?.map((p) => [...p]) ?? [];
      given[name] = points;
      const draw = () => {
        pen.clearRect(0, 0, 352, 352);
        for (const [x, y, k] of points) { pen.fillStyle = colours[k]; pen.beginPath(); pen.arc((x + 1) * 176, (1 - y) * 176, 4.5, 0, 7); pen.fill(); }
      };
      canvas.addEventListener("pointerdown", (event) => {
        const box = canvas.getBoundingClientRect();
        points = [...points, [+(2 * (event.clientX - box.left) / box.width - 1).toFixed(3), +(1 - 2 * (event.clientY - box.top) / box.height).toFixed(3), label]].slice(-control.most);
        draw(); changed(name, points);
      });
      draw();
      const buttons = Array.from({ length: control.classes }, (_, k) => make("button", { type: "button", textContent: `class ${k + 1}`, onclick: (event) => {
        label = k; for (const other of buttons) other.setAttribute("aria-pressed", other === event.currentTarget); } }));
      buttons[0].setAttribute("aria-pressed", "true");
      return make("div", {}, make("p", { textContent: control.label }), canvas, make("p", { className: "row" }, ...buttons,
        make("button", { type: "button", textContent: "Clear", onclick: () => { points = []; draw(); changed(name, points, false); } })),
        examplesRow(control.examples, (list) => { points = list.map((p) => [...p]); draw(); changed(name, points); }));
    },
  };
  for (const [name, control] of Object.entries(demo.inputs)) { controls[name] = builders[control.kind](name, control); inputs.append(controls[name]); }
  if (!demo.live) inputs.append(make("p", {}, make("button", { type: "button", className: "main", textContent: "Show", onclick: () => ask() })));

  // -- the guess --------------------------------------------------------------------------------------------------
  function askGuess() {
    guessed = null;
    guessBox.replaceChildren();
    answers.classList.toggle("none", demo.guesses.length > 0);
    if (!demo.guesses.length) return;
    const settle = (choice) => { guessed = choice; guessBox.replaceChildren(choice ? make("p", { className: "quiet", textContent: `Your guess: ${choice}` }) : ""); answers.classList.remove("none"); };
    guessBox.append(make("div", { className: "guess" }, make("p", { textContent: "What do you expect?", style: "margin-top:0" }),
      make("div", { className: "row" }, ...demo.guesses.map((text) => make("button", { type: "button", textContent: text, onclick: () => settle(text) })),
        make("button", { type: "button", className: "plain", textContent: "just show me", onclick: () => settle("") }))));
  }

  // -- the answer -------------------------------------------------------------------------------------------------
  async function ask() {
    if (Object.keys(demo.inputs).some((name) => given[name] === undefined)) return;
    const number = ++asked;
    try {
      const answer = await fetch(root.dataset.address, { method: "POST", headers: { "content-type": "application/json", accept: "application/json" }, body: JSON.stringify(given) });
      const found = await answer.json();
      if (number < shown) return;
      shown = number;
      answers.replaceChildren(...(answer.ok ? found.map(show) : [make("p", { className: "notice wrong", textContent: found.error })]));
    } catch { answers.replaceChildren(make("p", { className: "notice wrong", textContent: "The server does not answer. Is 'etude app' still running?" })); }
  }

  const shows = {
    bars({ values }) {
      const top = Object.keys(values).reduce((a, b) => (values[a] >= values[b] ? a : b));
      return make("div", { className: "bars" }, ...Object.entries(values).flatMap(([name, value]) => {
        const mark = name === top ? " top-one" : "";
        return [make("span", { className: mark, textContent: name }), make("span", { className: "bar" + mark }, make("i", { style: `width:${(100 * value).toFixed(1)}%` })), make("span", { className: mark, textContent: value.toFixed(3) })];
      }));
    },
    pictures({ images, width, smooth }) {
      return make("div", { className: `strip${smooth ? " smooth" : ""}` }, ...images.map(([caption, src]) => make("figure", {}, make("img", { src, width, alt: caption || "picture" }), make("figcaption", { textContent: caption }))));
    },
    frames({ images, width, smooth }) {
      const image = make("img", { width, alt: "" }), caption = make("span", { className: "quiet" }), range = make("input", { type: "range", min: 0, max: images.length - 1, value: 0, style: "width:100%", ariaLabel: "Frame" });
      let at = 0, playing = 0;
      const go = (k) => { at = (k + images.length) % images.length; [caption.textContent, image.src] = images[at]; image.alt = images[at][0]; range.value = at; };
      const play = make("button", { type: "button", onclick: () => toggle() });
      const toggle = (on = !playing) => { clearInterval(playing); playing = on ? setInterval(() => { if (!image.isConnected) return clearInterval(playing); if (at === images.length - 1) return toggle(false); go(at + 1); }, 90) : 0; play.textContent = on ? "Pause" : at === images.length - 1 ? "Play again" : "Play"; if (on && at === images.length - 1) go(0); };
      range.addEventListener("input", () => { toggle(false); go(Number(range.value)); });
      go(0); setTimeout(() => toggle(true));
      return make("div", { className: `player${smooth ? " smooth" : ""}`, style: `max-width:${width}px` }, image, range, make("p", { className: "row" }, play,
        make("button", { type: "button", textContent: "One step", onclick: () => { toggle(false); go(at + 1); } }), caption));
    },
    tokens({ pieces }) {
      return make("p", { className: "tokens" }, ...pieces.map(([text, weight]) => make("span", { textContent: text, title: weight.toFixed(2), style: `background:color-mix(in srgb, var(--accent) ${Math.round(60 * weight)}%, transparent)` })));
    },
    said({ text }) { return make("p", { textContent: text }); },
  };
  function show(answer) {
    return make("section", {}, answer.title ? make("h3", { textContent: answer.title }) : "", shows[answer.kind](answer));
  }

  askGuess();
  ask();
}
