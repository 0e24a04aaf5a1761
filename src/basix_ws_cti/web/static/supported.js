// Shows a sentence in browsers that are too old for the page. This file is ES5: they must read it.
(function () {
  "use strict";

  function explain() {
    var root = document.getElementById("root");
    if (!root || document.documentElement.getAttribute("data-started")) {
      return;
    }
    document.documentElement.setAttribute("data-unsupported", "true");
    while (root.firstChild) {
      root.removeChild(root.firstChild);
    }
    var sentences = [
      "This browser is too old for the wallboard: use Chrome or Edge 88, Firefox 90, Safari 15, or a later version.",
      "このブラウザーではウォールボードを表示できません。Chrome・Edge 88、Firefox 90、Safari 15 以降をお使いください。"
    ];
    for (var index = 0; index < sentences.length; index += 1) {
      var paragraph = document.createElement("p");
      paragraph.className = "boot unsupported";
      paragraph.appendChild(document.createTextNode(sentences[index]));
      root.appendChild(paragraph);
    }
  }

  var supported =
    "noModule" in document.createElement("script") &&
    typeof EventSource === "function" &&
    typeof Intl === "object" &&
    typeof CSS === "object" &&
    CSS.supports("aspect-ratio", "1");
  if (!supported) {
    explain();
    return;
  }
  // A syntax that an old browser does not know ends the modules before they start the page.
  window.addEventListener("error", explain);
})();
