/* Draws every .plotly-book fragment (figures/display.py) when it comes near the view. plotly.js is loaded once, from
   this folder, and only on pages that have a figure. Text follows the page's light or dark theme. */
(function () {
  "use strict";
  var base = document.currentScript.src.replace(/[^/]*$/, "");
  var library = null;

  function plotly() {
    if (!library) library = new Promise(function (resolve, reject) {
      if (window.Plotly) return resolve(window.Plotly);
      var script = document.createElement("script");
      script.src = base + "plotly.min.js";
      script.charset = "utf-8";
      script.onload = function () { resolve(window.Plotly); };
      script.onerror = reject;
      document.head.appendChild(script);
    });
    return library;
  }

  /* Colours of the theme as the style sheet gives them now. */
  function themed() {
    var text = getComputedStyle(document.body).color;
    return { "font.color": text, "legend.font.color": text, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
  }

  function payload(box) {
    return JSON.parse(box.querySelector("script[type='application/json']").textContent);
  }

  function clear(box) {
    var words = box.querySelector(".figure-words");
    if (words) words.remove();
  }

  function draw(box) {
    var figure = payload(box);
    return plotly().then(function (Plotly) {
      clear(box);
      var narrow = box.clientWidth && figure.layout.width > box.clientWidth;
      if (narrow) figure.layout.width = box.clientWidth;
      return Plotly.newPlot(box, figure.data, figure.layout, { displayModeBar: false, responsive: true });
    }).then(function () {
      return window.Plotly.relayout(box, themed());
    }).then(function () { box.dataset.drawn = "1"; });
  }

  /* Calls start(box) once for each box of a kind, when it comes near the view. */
  function whenNear(selector, start) {
    var boxes = document.querySelectorAll(selector);
    if (!("IntersectionObserver" in window)) { boxes.forEach(start); return; }
    var seen = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) return;
        seen.unobserve(entry.target);
        start(entry.target);
      });
    }, { rootMargin: "800px" });
    boxes.forEach(function (box) { seen.observe(box); });
  }

  function ready(run) {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", run); else run();
  }

  /* The theme's switch writes data-theme on <html>: repaint the text of what is drawn. */
  new MutationObserver(function () {
    document.querySelectorAll("[data-drawn]").forEach(function (box) {
      if (window.Plotly && box.layout) window.Plotly.relayout(box, themed());
    });
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });

  window.compress3dBook = { plotly: plotly, payload: payload, clear: clear, whenNear: whenNear, ready: ready };
  ready(function () { whenNear(".plotly-book", draw); });
})();
