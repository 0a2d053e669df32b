// Addresses change without a new page: the banner leads to the report of the study that is shown.
const report = document.getElementById("report");
const follow = () => {
  const study = location.pathname.match(/^\/dashboard\/studies\/(\d+)/);
  report.hidden = !study;
  if (study) report.href = `/report/${study[1]}`;
};
new MutationObserver(follow).observe(document.getElementById("dashboard"), { childList: true, subtree: true });
follow();

// The way home leads to our list, which says more than optuna-dashboard's own.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href="/dashboard/"]');
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  location.assign("/");
}, true);
