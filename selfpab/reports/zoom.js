// The zoomable picture of a recording: activity, probabilities and the envelope of both sensors' signals, over time.
// "row" is a clock second, counted from the first; local time is row + shift. All data lie in the page itself.
(async () => {
  const byId = (id) => document.getElementById(id);
  const box = byId("zoom"), canvas = byId("signals"), readout = byId("readout"), days = byId("days");
  if (!box || !window.DecompressionStream) return; // an old browser: the pictures and tables above are complete
  const told = JSON.parse(byId("recording").textContent);
  const { rows, classes, picture } = told, K = classes.length;
  const LEFT = 88, RIGHT = 8, AXIS = 22, LEAST = 10, LIMIT_G = 2.5, NONE = 255;
  const PANELS = [["activity", 44], ["probability", 110], ["back, g", 110], ["thigh, g", 110]];
  const AXES = [["x", "#0072B2"], ["y", "#D55E00"], ["z", "#009E73"]];
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
  const HEIGHT = PANELS.reduce((sum, [, tall]) => sum + tall + 8, 0) + AXIS;

  const [states, uncertain, flags, signal, shares] = await Promise.all([
    expanded(told.states, rows), expanded(told.uncertain, rows), expanded(told.flags, rows),
    binned(told.signal, Int8Array), binned(told.probabilities, Uint8Array),
  ]);

  // --- time ---
  const shiftOf = (row) => told.shifts.findLast(([first]) => first <= row)[1];
  const two = (n) => String(n).padStart(2, "0");
  const clock = (s) => `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}`;
  function date(local, year) {
    if (!told.dated) return `day ${Math.floor(local / 86400) + 1}`;
    const form = { weekday: "short", day: "numeric", month: "short", timeZone: "UTC", ...(year && { year: "numeric" }) };
    return new Date(local * 1000).toLocaleDateString("en-GB", form).replace(",", "");
  }
  const moment = (local) => `${date(local, true)} ${clock(((local % 86400) + 86400) % 86400)}:${two(local % 60)}`;

  // --- the view: rows first to stop ---
  let first = 0, stop = rows, width = 0, pen, waiting = false, pointed = null;
  const inner = () => width - LEFT - RIGHT;
  const xOf = (row) => LEFT + ((row - first) / (stop - first)) * inner();
  const rowOf = (x) => first + ((x - LEFT) / inner()) * (stop - first);

  function show(from, to) {
    const long = Math.min(Math.max(to - from, Math.min(LEAST, rows)), rows);
    const middle = (from + to) / 2;
    first = Math.min(Math.max(middle - long / 2, 0), rows - long);
    stop = first + long;
    box.dataset.first = Math.round(first);
    box.dataset.stop = Math.round(stop);
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }
  const zoomed = (factor, at = (first + stop) / 2) => show(at - (at - first) * factor, at + (stop - at) * factor);
  const panned = (share) => show(first + share * (stop - first), stop + share * (stop - first));

  function draw() {
    waiting = false;
    const ratio = window.devicePixelRatio || 1;
    width = canvas.clientWidth;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(HEIGHT * ratio);
    canvas.style.height = `${HEIGHT}px`;
    pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px system-ui, sans-serif";
    pen.clearRect(0, 0, width, HEIGHT);
    let top = 0;
    const tops = PANELS.map(([, tall]) => { const here = top; top += tall + 8; return here; });
    drawTicks(top - 8);
    PANELS.forEach(([name, tall], place) => {
      pen.fillStyle = "#222";
      pen.fillText(name, 0, tops[place] + tall / 2 + 4);
      pen.strokeStyle = "#bbb";
      pen.strokeRect(LEFT - 0.5, tops[place] - 0.5, inner() + 1, tall + 1);
    });
    const columns = Array.from({ length: Math.max(Math.floor(inner()), 0) }, (_, i) => [rowOf(LEFT + i), rowOf(LEFT + i + 1)]);
    drawStates(columns, tops[0], PANELS[0][1]);
    drawShares(columns, tops[1], PANELS[1][1]);
    for (const sensor of [0, 1]) drawSignal(columns, sensor, tops[2 + sensor], PANELS[2 + sensor][1]);
    frameView();
    point(null);
  }

  function drawTicks(bottom) {
    const step = STEPS.find((s) => (s / (stop - first)) * inner() > 76) || STEPS.at(-1);
    pen.textAlign = "center";
    told.shifts.forEach(([begin, shift], place) => {
      const end = Math.min(place + 1 < told.shifts.length ? told.shifts[place + 1][0] : rows, stop);
      const from = Math.max(begin, first);
      for (let local = Math.ceil((from + shift) / step) * step; local - shift < end; local += step) {
        const x = xOf(local - shift), midnight = local % 86400 === 0;
        pen.strokeStyle = midnight ? "#888" : "#ddd";
        pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, bottom + 3); pen.stroke();
        pen.fillStyle = "#222";
        const words = midnight ? date(local) : clock(local) + (step < 60 ? `:${two(local % 60)}` : "");
        if (x > LEFT + 20 && x < width - RIGHT - 20) pen.fillText(words, x, bottom + 16);
      }
    });
    pen.textAlign = "left";
  }

  function drawStates(columns, top, tall) {
    const count = new Uint32Array(K + 3);
    columns.forEach(([from, to], i) => {
      const a = Math.floor(from), b = Math.min(Math.max(Math.ceil(to), a + 1), rows);
      count.fill(0);
      for (let row = a; row < b; row++) count[states[row]]++;
      const best = count.indexOf(Math.max(...count));
      if (best < K) {
        const high = classes[best].level * tall;
        pen.fillStyle = classes[best].colour;
        pen.fillRect(LEFT + i, top + tall - high, 1, high);
      } else {
        hatch(LEFT + i, top, tall, best - K);
      }
    });
  }
  function hatch(x, top, tall, kind) { // not worn: diagonals; a sensor missing: crosses; not recorded: dots
    pen.fillStyle = kind === 0 ? "#eee" : "#fff";
    pen.fillRect(x, top, 1, tall);
    pen.fillStyle = "#666";
    const at = Math.floor(x) % 6;
    for (let y = 0; y < tall; y += 6) {
      if (kind === 2) { if (at === 3) pen.fillRect(x, top + y + 2, 1.5, 1.5); continue; }
      pen.fillRect(x, top + y + 5 - at, 1, 1);
      if (kind === 1) pen.fillRect(x, top + y + at, 1, 1);
    }
  }

  function drawShares(columns, top, tall) {
    const sums = new Float64Array(K);
    columns.forEach(([from, to], i) => {
      const a = Math.floor(from / shares.seconds), b = Math.min(Math.max(Math.ceil(to / shares.seconds), a + 1), shares.bins);
      let known = 0;
      for (let bin = a; bin < b; bin++) known += shares.values[bin] !== NONE;
      if (!known) return;
      let whole = 0;
      for (let k = 0; k < K; k++) {
        sums[k] = 0;
        for (let at = k * shares.bins + a; at < k * shares.bins + b; at++) {
          if (shares.values[at] !== NONE) sums[k] += shares.values[at];
        }
        whole += sums[k];
      }
      pen.globalAlpha = states[Math.min(Math.floor((from + to) / 2), rows - 1)] < K ? 1 : 0.25; // not worn: means little
      let y = top + tall;
      for (const k of told.order) {
        const high = (sums[k] / whole) * tall;
        pen.fillStyle = classes[k].colour;
        pen.fillRect(LEFT + i, y - high, 1, high);
        y -= high;
      }
    });
    pen.globalAlpha = 1;
  }

  function drawSignal(columns, sensor, top, tall) {
    const { values, bins, seconds } = signal, scale = tall / 2 / LIMIT_G;
    const yOf = (steps) => top + tall / 2 - Math.max(-LIMIT_G, Math.min(LIMIT_G, steps / told.steps_per_g)) * scale;
    pen.strokeStyle = "#ddd";
    for (const g of [-2, -1, 0, 1, 2]) {
      const y = Math.round(yOf(g * told.steps_per_g)) + 0.5;
      pen.beginPath(); pen.moveTo(LEFT, y); pen.lineTo(width - RIGHT, y); pen.stroke();
      pen.fillStyle = "#555";
      pen.textAlign = "right";
      pen.fillText(g < 0 ? `−${-g}` : g, LEFT - 4, y + 4);
      pen.textAlign = "left";
    }
    AXES.forEach(([name, colour], axis) => {
      const low = (3 * sensor + axis) * bins, high = (6 + 3 * sensor + axis) * bins;
      pen.fillStyle = colour;
      columns.forEach(([from, to], i) => {
        const a = Math.floor(from / seconds), b = Math.min(Math.max(Math.ceil(to / seconds), a + 1), bins);
        let least = 127, most = -128;
        for (let bin = a; bin < b; bin++) {
          if (values[low + bin] < least) least = values[low + bin];
          if (values[high + bin] > most) most = values[high + bin];
        }
        if (least > most) return;
        const y = yOf(most), end = Math.max(yOf(least), y + 1);
        pen.globalAlpha = 0.3;
        pen.fillRect(LEFT + i, y, 1, end - y);
        pen.globalAlpha = 1; // its edges
        pen.fillRect(LEFT + i, y, 1, 1);
        pen.fillRect(LEFT + i, end - 1, 1, 1);
      });
      pen.fillText(name, LEFT + 6 + 12 * axis, top + 13);
    });
  }

  // --- pointing ---
  function words(row) {
    const state = states[row], bin = Math.floor(row / shares.seconds);
    const parts = Array.from(classes, (_, k) => [shares.values[k * shares.bins + bin], classes[k].name]);
    const best = parts.filter(([p]) => p !== NONE && p > 0).sort((a, b) => b[0] - a[0]).slice(0, 3);
    const listed = best.map(([p, name]) => `${name} ${p} %`).join(", ");
    const mean = shares.seconds > 1 ? ` (mean of ${shares.seconds} s)` : "";
    const what = state < K ? classes[state].name : told.not_counted[state - K];
    const line = [moment(row + shiftOf(row)), what];
    if (listed) line.push(listed + mean);
    if (uncertain[row]) line.push("uncertain");
    if (told.flag_words[flags[row]]) line.push(told.flag_words[flags[row]].replaceAll(";", ", "));
    return line.join(" · ");
  }
  function point(row, spoken = false) {
    pointed = row === null ? null : Math.min(Math.max(Math.floor(row), 0), rows - 1);
    const line = byId("cursor"), there = pointed !== null && pointed + 1 > first && pointed < stop;
    line.hidden = !there;
    if (there) line.style.left = `${xOf(pointed + 0.5)}px`;
    readout.setAttribute("aria-live", spoken ? "polite" : "off");
    readout.textContent = pointed === null ? readout.dataset.rest : words(pointed);
  }

  // --- the ribbons above: point at them, drag over them, see which part is shown ---
  const lineRows = (line, seconds) => {
    const local = line.midnight + seconds;
    const fits = told.shifts.map(([begin, shift], place) => [local - shift, begin, told.shifts[place + 1]?.[0] ?? rows]);
    const [row] = fits.find(([at, a, b]) => at >= a && at < b && at >= line.first && at <= line.last) || [local - shiftOf(line.first)];
    return Math.min(Math.max(row, line.first), line.last + 1);
  };
  function rowOnDays(event) {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(days.getScreenCTM().inverse());
    const line = picture.lines.findLast(({ top }) => place.y >= top - 4) || picture.lines[0];
    const share = Math.min(Math.max((place.x - picture.left) / picture.width, 0), 1);
    return lineRows(line, picture.first_s + share * (picture.stop_s - picture.first_s));
  }
  function frameView() {
    byId("view")?.remove();
    if (stop - first >= rows) return;
    const group = document.createElementNS(days.namespaceURI, "g");
    group.id = "view";
    const per = picture.width / (picture.stop_s - picture.first_s);
    for (const line of picture.lines) {
      const a = Math.max(first, line.first), b = Math.min(stop, line.last + 1);
      if (a >= b) continue;
      const frame = document.createElementNS(days.namespaceURI, "rect");
      const begin = a + shiftOf(a) - line.midnight, end = b + shiftOf(b - 1) - line.midnight;
      const shape = { x: picture.left + (begin - picture.first_s) * per, y: line.top - 3, width: Math.max((end - begin) * per, 2), height: picture.row + 6 };
      for (const [key, value] of Object.entries(shape)) frame.setAttribute(key, value);
      group.append(frame);
    }
    days.append(group);
  }

  function draggable(element, rowAt, whenClicked) {
    let begun = null;
    element.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      begun = { x: event.clientX, y: event.clientY, row: rowAt(event) };
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      const row = rowAt(event);
      point(row);
      if (begun && element === canvas) mark(begun.row, row);
    });
    element.addEventListener("pointerup", (event) => {
      if (!begun) return;
      const row = rowAt(event), far = Math.hypot(event.clientX - begun.x, event.clientY - begun.y) > 5;
      mark(0, 0);
      if (far && row !== begun.row) show(Math.min(row, begun.row), Math.max(row, begun.row));
      else whenClicked(row);
      begun = null;
    });
    element.addEventListener("pointercancel", () => { begun = null; mark(0, 0); });
    element.addEventListener("pointerleave", () => { if (!begun) point(null); });
  }
  function mark(a, b) {
    const chosen = byId("chosen"), [from, to] = [xOf(Math.min(a, b)), xOf(Math.max(a, b))];
    chosen.hidden = a === b;
    Object.assign(chosen.style, { left: `${Math.max(from, LEFT)}px`, width: `${Math.min(to, width - RIGHT) - Math.max(from, LEFT)}px` });
  }

  const onCanvas = (event) => {
    const row = rowOf(event.clientX - canvas.getBoundingClientRect().left);
    return Math.min(Math.max(row, first), stop - 1e-6);
  };
  draggable(canvas, onCanvas, () => {});
  draggable(days, rowOnDays, (row) => show(row - 1800, row + 1800));
  canvas.addEventListener("dblclick", (event) => zoomed(4, onCanvas(event)));
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) panned((event.deltaX || event.deltaY) / 800);
    else zoomed(Math.exp(event.deltaY / 300), onCanvas(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = Math.max((stop - first) / 100, 1), at = pointed ?? (first + stop) / 2;
    const moves = {
      "+": () => zoomed(0.5, at), "=": () => zoomed(0.5, at), "-": () => zoomed(2, at), Home: () => show(0, rows),
      PageUp: () => panned(-0.5), PageDown: () => panned(0.5),
      ArrowLeft: () => point(Math.max(at - step, first), true), ArrowRight: () => point(Math.min(at + step, stop - 1), true),
    };
    if (!moves[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    moves[event.key]();
  });
  const actions = { whole: () => show(0, rows), in: () => zoomed(0.5), out: () => zoomed(2), earlier: () => panned(-0.5), later: () => panned(0.5) };
  for (const button of box.querySelectorAll("button")) button.addEventListener("click", actions[button.value]);
  byId("day").addEventListener("change", (event) => {
    const line = picture.lines[event.target.value];
    if (line) show(line.first, line.last + 1);
  });
  new ResizeObserver(() => show(first, stop)).observe(canvas.parentElement);
  box.hidden = false;
  byId("still").hidden = true;
  days.classList.add("live");
  show(0, rows);
  box.dataset.ready = "yes";
})();
