/* The voxel viewer (figures/viewer.py): run lengths -> grid -> exposed faces -> plotly mesh; selectors, pictures. */
(function () {
  "use strict";
  var book = window.compress3dBook;

  /* Run lengths (seven bits a byte, low first; runs of empty and occupied voxels in turn) to one byte a voxel. */
  function unpack(text, size) {
    var bytes = atob(text), grid = new Uint8Array(size), at = 0, value = 0, shift = 0, occupied = 0;
    for (var n = 0; n < bytes.length; n++) {
      var byte = bytes.charCodeAt(n);
      value |= (byte & 127) << shift;
      shift += 7;
      if (byte & 128) continue;
      if (occupied) grid.fill(1, at, at + value);
      at += value; value = 0; shift = 0; occupied ^= 1;
    }
    return grid;
  }

  /* direction, then four corners counter-clockwise from outside: the same table as figures/voxels.py */
  var FACES = [
    [[-1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]],
    [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
    [[0, -1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]],
    [[0, 1, 0], [0, 1, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]],
    [[0, 0, -1], [0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]],
    [[0, 0, 1], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
  ];

  /* Welded mesh of the faces between occupied and empty voxels; grid is [x][y][z]. */
  function mesh(grid, side) {
    var X = side[0], Y = side[1], Z = side[2], known = new Map();
    var m = { x: [], y: [], z: [], i: [], j: [], k: [], intensity: [] };
    function filled(x, y, z) {
      return x >= 0 && y >= 0 && z >= 0 && x < X && y < Y && z < Z && grid[(x * Y + y) * Z + z];
    }
    function corner(x, y, z) {
      var key = (x * (Y + 1) + y) * (Z + 1) + z;
      if (!known.has(key)) { known.set(key, m.x.length); m.x.push(x); m.y.push(y); m.z.push(z); }
      return known.get(key);
    }
    for (var x = 0; x < X; x++) for (var y = 0; y < Y; y++) for (var z = 0; z < Z; z++) {
      if (!filled(x, y, z)) continue;
      FACES.forEach(function (face, direction) {
        if (filled(x + face[0][0], y + face[0][1], z + face[0][2])) return;
        var q = face.slice(1).map(function (c) { return corner(x + c[0], y + c[1], z + c[2]); });
        m.i.push(q[0], q[0]); m.j.push(q[1], q[2]); m.k.push(q[2], q[3]);
        m.intensity.push(direction, direction);
      });
    }
    return m;
  }

  function element(tag, cls, parent) {
    var node = document.createElement(tag);
    if (cls) node.className = cls;
    if (parent) parent.appendChild(node);
    return node;
  }

  /* A native list: keyboards and screen readers know it. Returns what fills it; change(n) is told the choice. */
  function select(parent, label, change) {
    var box = element("label", "viewer-select", parent), list = element("select", "", box);
    box.insertBefore(element("span", "", box), list).textContent = label;
    list.name = label;
    list.addEventListener("change", function () { change(Number(list.value)); });
    return function (choices, chosen) {
      list.replaceChildren();
      choices.forEach(function (name, n) {
        var option = element("option", "", list);
        option.value = n; option.textContent = name;
      });
      list.value = chosen;
      box.hidden = choices.length < 2;
    };
  }

  /* Two lists for methods that are (model, rate). A new model keeps the rate that is seen, or takes its nearest one. */
  function modelAndRate(parent, methods, chosen, change) {
    var models = new Map(), wanted = methods[chosen].rate;
    methods.forEach(function (method, n) {
      if (!models.has(method.model)) models.set(method.model, []);
      models.get(method.model).push(n);
    });
    var names = Array.from(models.keys()), mine = models.get(methods[chosen].model);
    function octaves(n) { return Math.abs(Math.log2(parseFloat(methods[n].rate) / parseFloat(wanted))); }
    function show(n) {
      mine = models.get(methods[n].model);
      rates(mine.map(function (k) { return methods[k].rate; }), mine.indexOf(n));
      if (mine.length > 1) wanted = methods[n].rate; /* a hidden rate, as of the truth, is nobody's wish */
    }
    var listed = select(parent, "model", function (k) {
      var nearest = models.get(names[k]).reduce(function (a, b) { return octaves(b) < octaves(a) ? b : a; });
      show(nearest); change(nearest);
    });
    var rates = select(parent, "rate", function (k) { wanted = methods[mine[k]].rate; change(mine[k]); });
    listed(names, names.indexOf(methods[chosen].model));
    show(chosen);
  }

  /* Methods are a row of buttons: one click, or the arrow keys, compares neighbouring rates. */
  function buttons(parent, methods, chosen, change) {
    var row = element("div", "viewer-methods", parent);
    row.setAttribute("role", "radiogroup");
    row.setAttribute("aria-label", "method");
    var all = methods.map(function (method, n) {
      var b = element("button", "", row);
      b.type = "button"; b.textContent = method.name; b.setAttribute("role", "radio");
      b.style.setProperty("--method", method.colour);
      b.addEventListener("click", function () { pick(n); });
      return b;
    });
    function pick(n) {
      all.forEach(function (b, k) { b.setAttribute("aria-checked", k === n); b.tabIndex = k === n ? 0 : -1; });
      change(n);
    }
    row.addEventListener("keydown", function (event) {
      var step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      var now = all.findIndex(function (b) { return b.getAttribute("aria-checked") === "true"; });
      var next = (now + step + all.length) % all.length;
      pick(next); all[next].focus();
    });
    all.forEach(function (b, k) { b.setAttribute("aria-checked", k === chosen); b.tabIndex = k === chosen ? 0 : -1; });
  }

  /* One slow turn about the vertical axis, or less when the reader takes over: turns it, or compares at this angle. */
  function turn(Plotly, box, scene, eye) {
    if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    var radius = Math.hypot(eye.x, eye.z), start = Math.atan2(eye.z, eye.x), began = null, last = 0, stopped = false;
    ["pointerdown", "wheel", "touchstart", "keydown"].forEach(function (kind) {
      box.addEventListener(kind, function () { stopped = true; }, { capture: true, passive: true });
    });
    function step(now) {
      if (stopped) return;
      if (began === null) began = now;
      var turned = (now - began) / 24000; /* 24 s a turn, then it rests: no battery is spent on an idle page */
      if (turned >= 1) return;
      if (now - last > 40) {
        last = now;
        var angle = start + 2 * Math.PI * turned;
        var x = radius * Math.cos(angle), z = radius * Math.sin(angle);
        Plotly.relayout(scene, { "scene.camera.eye": { x: x, y: eye.y, z: z } });
      }
      requestAnimationFrame(step);
    }
    requestAnimationFrame(step);
  }

  function open(box) {
    var data = book.payload(box), state = { object: 0, method: data.chosen };
    var size = data.side[0] * data.side[1] * data.side[2];
    book.plotly().then(function (Plotly) {
      book.clear(box);
      var controls = element("div", "viewer-controls", box), body = element("div", "viewer-body", box);
      var scene = element("div", "viewer-scene", body), aside = element("div", "viewer-views", body);
      var note = element("p", "viewer-note", box);
      note.setAttribute("aria-live", "polite");

      function trace() {
        var m = mesh(unpack(data.objects[state.object].grids[state.method], size), data.side);
        return Object.assign(m, {
          type: "mesh3d", hoverinfo: "skip", intensitymode: "cell", cmin: 0, cmax: 5, showscale: false,
          colorscale: data.methods[state.method].scale, lighting: data.lighting
        });
      }
      /* The grid's own box stays in the scene, unseen: the size of an object does not change with the method. */
      function frame() {
        return { type: "scatter3d", mode: "markers", marker: { size: 0.1, opacity: 0 }, hoverinfo: "skip",
                 showlegend: false, x: [0, data.side[0]], y: [0, data.side[1]], z: [0, data.side[2]] };
      }
      function words() {
        var object = data.objects[state.object];
        note.textContent = [object.name, data.methods[state.method].name, object.notes[state.method], object.credit]
          .filter(Boolean).join(" · ");
      }
      function images(parent, urls, alt) {
        urls.forEach(function (url, n) {
          var image = element("img", "viewer-view", parent);
          image.decoding = "sync"; /* no blank between two models' pictures */
          image.src = url; image.alt = alt + " " + (n + 1);
        });
      }
      function row(title, words, urls, count) {
        var line = element("div", "viewer-row", aside), caption = element("div", "viewer-caption", line);
        line.style.setProperty("--count", Math.min(count, 4)); /* a fifth view wraps: they stay large enough to see */
        element("b", "", caption).textContent = title + "s";
        if (!urls.length) element("div", "viewer-none", line).textContent = words;
        else if (words) caption.append(" · " + words);
        images(line, urls, title);
      }
      function pictures() {
        var object = data.objects[state.object];
        aside.replaceChildren();
        if (!object.decoded) return images(aside, object.views, "view");
        aside.className = "viewer-rows";
        row("original view", "", object.views, object.views.length);
        row("decoded view", object.pictureNotes[state.method], object.decoded[state.method], object.views.length);
      }
      function redraw() {
        words();
        var camera = scene.layout && scene.layout.scene && scene.layout.scene.camera;
        var layout = { margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, paper_bgcolor: "rgba(0,0,0,0)",
                       scene: Object.assign({}, data.scene, camera ? { camera: camera } : {}) };
        var drawn = trace();
        box.dataset.triangles = drawn.i.length;
        var options = { displayModeBar: false, responsive: true, scrollZoom: false };
        var asked = state.asked = (state.asked || 0) + 1;
        delete box.dataset.drawn;
        return Plotly.react(scene, [drawn, frame()], layout, options).then(function () {
          if (asked === state.asked) box.dataset.drawn = "1"; /* what was chosen last is on the screen */
        });
      }
      function show(change) { Object.assign(state, change); pictures(); redraw(); }
      if (data.controls) {
        var objects = select(controls, "object", function (n) { show({ object: n }); });
        var choose = function (n) { show({ method: n }); };
        objects(data.objects.map(function (o) { return o.name; }), 0);
        if ("model" in data.methods[0]) modelAndRate(controls, data.methods, state.method, choose);
        else if (data.methods.length > 1) buttons(controls, data.methods, state.method, choose);
        pictures();
      }
      if (!aside.children.length) aside.remove();
      if (!controls.querySelector("label:not([hidden]), button")) controls.remove();
      redraw().then(function () {
        if (data.turn) turn(Plotly, box, scene, Object.assign({}, data.scene.camera.eye));
      });
    });
  }

  book.ready(function () { book.whenNear(".voxel-viewer", open); });
})();
