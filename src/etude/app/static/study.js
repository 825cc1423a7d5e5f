// Another scale has other values: show them.
const scale = document.getElementById("scale");
scale.addEventListener("change", () => { location.href = scale.dataset.go + encodeURIComponent(scale.value); });
