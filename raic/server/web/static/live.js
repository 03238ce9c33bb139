// Keeps the page up to date.  Everything it shows came rendered from the node, and the page is
// complete without it.
"use strict";

(function () {
  const live = document.getElementById("live");
  const source = new EventSource("/api/v1/events" + (document.body.dataset.reveal ? "?reveal=1" : ""));

  function say(text, state) {
    if (live.textContent !== text) {
      live.textContent = text;
    }
    live.dataset.state = state;
  }

  // Replaces only what has changed, so that the focus, a selection and what was opened stay.
  function update(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("main");
    const main = document.getElementById("main");
    const parts = Array.from(fresh.querySelectorAll("[data-part]"));
    const old = Array.from(main.querySelectorAll("[data-part]"));
    const same = parts.length === old.length && parts.every((part, i) => part.id === old[i].id);
    if (!same) {
      main.replaceWith(document.adoptNode(fresh));
      return;
    }
    main.dataset.state = fresh.dataset.state;
    parts.forEach(function (part, i) {
      old[i].querySelectorAll("details[open][id]").forEach(function (opened) {
        const again = part.querySelector("#" + CSS.escape(opened.id));
        if (again) {
          again.open = true;
        }
      });
      if (old[i].outerHTML !== part.outerHTML && !old[i].contains(document.activeElement)) {
        old[i].replaceWith(document.adoptNode(part));
      }
    });
  }

  source.addEventListener("page", function (event) {
    update(JSON.parse(event.data));
    say("live", "on");
  });
  source.addEventListener("error", function () {
    say("the node does not answer; what is shown is old", "off");
  });
})();
