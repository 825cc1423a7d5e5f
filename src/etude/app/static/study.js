// Another scale has other values: show them.
const scale = document.getElementById("scale");
scale.addEventListener("change", () => { location.href = scale.dataset.go + encodeURIComponent(scale.value); });
// A run takes some seconds to begin; meanwhile say so, and take no second press for another run.
const run = document.querySelector("form[action$='/runs']"), press = run?.querySelector("button[type='submit']");
run?.addEventListener("submit", () => { press.disabled = true; press.textContent = "Starting …"; });
addEventListener("pageshow", () => { if (press) { press.disabled = false; press.textContent = "Run"; } });
