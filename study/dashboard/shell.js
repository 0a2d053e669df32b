// Addresses change without a new page: the banner leads to the report of the study that is shown.
const report = document.getElementById("report");
const follow = () => {
  const study = location.pathname.match(/^\/dashboard\/studies\/(\d+)/);
  report.hidden = !study;
  if (study) report.href = `/report/${study[1]}`;
};

// Borders of the gallery go from blue to white by rank: by value, one bad trial makes all others
// look alike.
const rank = () => {
  const cards = [...document.querySelectorAll(".MuiCard-root")]
    .filter((card) => getComputedStyle(card).borderTopWidth === "5px");
  cards.forEach((card) => { card.style.borderColor = ""; });
  const shades = cards.map((card) => parseInt(getComputedStyle(card).borderTopColor.slice(4), 10));
  const sorted = [...shades].sort((a, b) => a - b);
  cards.forEach((card, i) => {
    const shade = Math.round((255 * sorted.indexOf(shades[i])) / Math.max(1, cards.length - 1));
    card.style.borderColor = `rgb(${shade} ${shade} 255)`;
  });
};

let waits = false;
new MutationObserver(() => {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => { waits = false; follow(); rank(); });
}).observe(document.getElementById("dashboard"), { childList: true, subtree: true });
follow();

// The way home leads to our list, which says more than optuna-dashboard's own.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href="/dashboard/"]');
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  location.assign("/");
}, true);
