// Fetches the page anew and puts its live parts in place. Without JavaScript the page reloads itself instead.
(function () {
  "use strict";
  var every = 5000;
  var warning = document.getElementById("gone");
  function opened(root) {
    return Array.from(root.querySelectorAll("details[open][id]"), function (one) { return one.id; });
  }
  function busy(live) {
    var selection = document.getSelection();
    var selecting = selection && !selection.isCollapsed && live.contains(selection.anchorNode);
    return selecting || live.contains(document.activeElement);
  }
  function swap(text) {
    var page = new DOMParser().parseFromString(text, "text/html");
    document.querySelectorAll("[data-live]").forEach(function (live) {
      var fresh = page.getElementById(live.id);
      if (!fresh || busy(live)) { return; }
      opened(live).forEach(function (id) {
        var same = page.getElementById(id);
        if (same) { same.open = true; }
      });
      live.replaceWith(document.adoptNode(fresh));
    });
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
