// Fetches the page anew and puts its live part in place. Without JavaScript the page reloads itself instead.
(function () {
  "use strict";
  var every = 5000;
  var warning = document.getElementById("gone");
  function opened(root) {
    return Array.from(root.querySelectorAll("details[open][id]"), function (one) { return one.id; });
  }
  function busy(live) {
    var selection = document.getSelection();
    return document.hidden || live.contains(document.activeElement) || (selection && !selection.isCollapsed);
  }
  function swap(text) {
    var live = document.getElementById("live");
    var fresh = new DOMParser().parseFromString(text, "text/html").getElementById("live");
    if (!fresh || busy(live)) { return; }
    opened(live).forEach(function (id) {
      var same = fresh.querySelector("#" + CSS.escape(id));
      if (same) { same.open = true; }
    });
    live.replaceWith(document.adoptNode(fresh));
  }
  function tick() {
    if (document.hidden) { return; }
    fetch(location.href, { headers: { Accept: "text/html" } }).then(function (answer) {
      return answer.text();
    }).then(function (text) {
      warning.hidden = true;
      swap(text);
    }).catch(function () {
      warning.hidden = false;
    });
  }
  setInterval(tick, every);
}());
