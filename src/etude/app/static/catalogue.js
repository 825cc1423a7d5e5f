// Filters the cards as one types; what is asked for stands in the page's address.
const form = document.querySelector(".filters"), cards = [...document.querySelectorAll(".cards > li")];
const asked = new URLSearchParams(location.search);
for (const control of form.elements) control.value = asked.get(control.name) ?? "";
function filter() {
  const { q, topic, course } = Object.fromEntries(new FormData(form));
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const fits = (!topic || card.dataset.topic === topic) && (!course || card.dataset.course.split(" ").includes(course))
      && words.every((word) => card.dataset.words.includes(word));
    card.classList.toggle("none", !fits);
    shown += fits;
  }
  document.getElementById("count").textContent = `${shown} ${shown === 1 ? "study" : "studies"}.`;
  document.getElementById("nothing").classList.toggle("none", shown > 0);
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("all").addEventListener("click", () => { form.reset(); filter(); });
filter();
