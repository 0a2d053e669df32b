"use strict";
// What the page holds compressed, as a response.
const unpack = (id) => {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
};
// Draws all charts, near or not; replaced where there are charts.
let drawAll = async () => {};

// Lets links arrive, opens what is closed above their target, follows the reader, copies, prints.
(() => {
  const contents = document.getElementById("contents");
  const narrow = matchMedia("(max-width: 63.99rem)");
  const fold = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();

  const arrive = () => {
    // Behind a question mark stand the filters of trials.
    const [name] = decodeURIComponent(location.hash.slice(1)).split("?");
    const target = document.getElementById(name);
    if (!target) return;
    for (let above = target; above; above = above.parentElement) {
      if (above.tagName === "DETAILS") above.open = true;
    }
    const own = target.querySelector(":scope > details.fold");
    if (own) own.open = true;
    target.scrollIntoView({ behavior: "instant" });
  };
  addEventListener("hashchange", arrive);
  for (const link of document.querySelectorAll("nav a")) {
    link.addEventListener("click", () => {
      if (narrow.matches) contents.open = false;
      if (link.hash === location.hash) arrive();  // where one is already, nothing changes
    });
  }
  arrive();

  // The contents follow the reader: the last heading above the upper third of the window.
  const links = new Map(
    [...document.querySelectorAll("nav a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]),
  );
  const sections = [...document.querySelectorAll("main section[id]")].filter(({ id }) => links.has(id));
  let asked = false;
  const follow = () => {
    asked = false;
    const above = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3);
    const current = above.at(-1);
    for (const [id, link] of links) {
      if (current && (id === current.id)) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
      const group = document.getElementById(id);
      if (group?.classList.contains("group")) {
        link.parentElement.classList.toggle("current", Boolean(current && group.contains(current)));
      }
    }
  };
  const ask = () => {
    if (!asked) requestAnimationFrame(follow);
    asked = true;
  };
  addEventListener("scroll", ask, { passive: true });
  addEventListener("resize", ask);
  follow();

  for (const place of document.querySelectorAll(".command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.onclick = async () => {
      const text = place.querySelector("code").textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {  // a page from a file may be denied the clipboard
        getSelection().selectAllChildren(place.querySelector("code"));
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    };
    place.append(button);
    // No line ends within the hyphens of an option.
    const code = place.querySelector("code");
    code.replaceChildren(...code.textContent.split(/( )/).map((word) => {
      const part = document.createElement("span");
      part.textContent = word;
      if (word.startsWith("-")) part.className = "nowrap";
      return part;
    }));
  }

  // On paper nothing is closed.
  const closed = () => [...document.querySelectorAll("main details:not([open]), header details:not([open])")];
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = closed();
    for (const part of opened) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of opened) part.open = false;
    opened = [];
  });
  const button = document.getElementById("print");
  if (button) {
    button.hidden = false;
    button.onclick = async () => {
      button.disabled = true;
      const before = closed();
      for (const part of before) part.open = true;
      await drawAll();
      print();
      for (const part of before) part.open = false;
      button.disabled = false;
    };
  }
})();
