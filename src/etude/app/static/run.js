// While a run is under way: its place, curves, figures and log, once a second. Afterwards once.
const run = document.getElementById("run"), address = run.dataset.address;
const log = document.getElementById("log"), place = document.getElementById("place"), bar = document.getElementById("progress");
let size = -1;

function clock(seconds) {
  const whole = Math.round(seconds);
  return whole < 100 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

async function look() {
  let now;
  try {
    const answer = await fetch(`${address}/live?size=${size}`, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    now = await answer.json();
  } catch {
    place.textContent = "the server does not answer; the run goes on without it";
    setTimeout(look, 3000);
    return;
  }
  size = now.size;
  if (now.curves && drawCurves(now.curves, document.getElementById("charts"))) document.getElementById("curves-title").classList.remove("none");
  if (log.textContent !== now.log) {
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
    log.textContent = now.log;
    if (below) log.scrollTop = log.scrollHeight;
  }
  const figures = document.getElementById("figures");
  for (const [name, file] of now.pictures) {
    const source = `${address}/figures/${file}`;
    if ([...figures.querySelectorAll("img")].some((image) => image.getAttribute("src") === source)) continue;
    const figure = document.createElement("figure");
    figure.innerHTML = "<img><figcaption></figcaption>";
    Object.assign(figure.firstChild, { src: source, alt: `Figure: ${name}` });
    figure.lastChild.textContent = name;
    figures.append(figure);
    document.getElementById("figures-title").classList.remove("none");
  }
  if (now.state !== run.dataset.state) { location.reload(); return; }
  if (now.state !== "running") return;
  const words = [now.stage, now.step ? `step ${now.step.toLocaleString("en")}${now.total ? ` of ${now.total.toLocaleString("en")}` : ""}` : "it begins …"];
  if (now.seconds) words.push(clock(now.seconds));
  place.textContent = words.filter(Boolean).join(" · ");
  if (now.step && now.total) bar.value = now.step / now.total; else bar.removeAttribute("value");
  setTimeout(look, 1000);
}
look();
