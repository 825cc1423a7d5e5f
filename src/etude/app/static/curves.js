// Draws curves, {metric: {stage: [steps, values]}}, one chart for each kind of metric; repetitions "name #k" share a colour.
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#3355ff", "#dd0044", "#5588ff", "#447777", "#dd00bb", "#447744"];
const DASHES = [[], [8, 3], [2, 2], [9, 3, 2, 3], [14, 4], [5, 2, 2, 2, 2, 2], [4, 4], [12, 3, 5, 3], [2, 4], [18, 3, 2, 3]];
const charts = new Map();

function kindOf(metric) { return metric.split("/").at(-1); }

function drawCurves(curves, into) {
  const kinds = {};
  for (const [metric, stages] of Object.entries(curves))
    for (const [stage, [steps, values]] of Object.entries(stages))
      if (steps.length > 1) (kinds[kindOf(metric)] ??= []).push({ metric, stage, steps, values });
  for (const [kind, lines] of Object.entries(kinds)) {
    const several = new Set(lines.map((line) => line.metric)).size > 1;
    const name = (line) => [several ? line.metric : "", line.stage.replace(/ #\d+/, "")].filter(Boolean).join(" ") || line.metric;
    const names = [...new Set(lines.map(name))];
    const x = [...new Set(lines.flatMap((line) => line.steps))].sort((a, b) => a - b);
    const at = new Map(x.map((step, place) => [step, place]));
    const columns = lines.map((line) => {
      const column = new Array(x.length).fill(null);
      line.steps.forEach((step, k) => { column[at.get(step)] = line.values[k]; });
      return column;
    });
    const data = [x, ...columns], signature = lines.map((line) => line.metric + line.stage).join("|");
    const known = charts.get(kind);
    const told = `Curve of ${kind}: ` + lines.slice(0, 12).map((line) => `${name(line)} from ${line.values[0]?.toPrecision(3)} at step ${line.steps[0]} to ${line.values.at(-1)?.toPrecision(3)} at step ${line.steps.at(-1)}`).join("; ");
    known?.box.setAttribute("aria-label", told);
    if (known && known.signature === signature) { known.plot.setData(data); continue; }
    known?.box.remove();
    const box = document.createElement("section");
    box.className = "chart";
    box.setAttribute("aria-label", told);
    box.innerHTML = "<h3></h3><div></div>";
    box.firstChild.textContent = several ? kind : lines[0].metric;
    box.setAttribute("role", "img");
    into.append(box);
    const quiet = getComputedStyle(document.body).getPropertyValue("--quiet"), faint = getComputedStyle(document.body).getPropertyValue("--line");
    const all = columns.flat().filter((v) => v !== null), low = Math.min(...all), high = Math.max(...all);
    const log = kind.includes("loss") && low > 0 && high > 20 * low;
    const axis = { stroke: quiet, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint } };
    const plot = new uPlot({
      width: Math.max(260, box.clientWidth - 26), height: 230, legend: { show: names.length > 1 && names.length <= 12, live: lines.length <= 12 },
      scales: { x: { time: false }, y: log ? { distr: 3 } : {} }, cursor: { y: false },
      axes: [axis, { ...axis, size: 58, values: (u, ticks) => ticks.map((t) => t === null ? "" : Math.abs(t) >= 1e5 || (t && Math.abs(t) < 1e-3) ? t.toExponential(2).replace(/\.?0+e/, "e") : String(+t.toPrecision(4))) }],
      series: [{ label: "step" }, ...lines.map((line) => ({
        label: lines.length <= 12 && line.stage.includes("#") ? `${name(line)} #${line.stage.split("#")[1]}` : name(line), spanGaps: true,
        stroke: PALETTE[names.indexOf(name(line)) % PALETTE.length], dash: DASHES[names.indexOf(name(line)) % DASHES.length], width: 1.6,
        value: (u, v) => v === null || v === undefined ? "–" : v.toPrecision(4),
      }))],
    }, data, box.lastChild);
    charts.set(kind, { plot, box, signature });
    new ResizeObserver(() => plot.setSize({ width: Math.max(260, box.clientWidth - 26), height: 230 })).observe(box);
  }
  return charts.size;
}
