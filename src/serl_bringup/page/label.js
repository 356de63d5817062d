// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"use strict";

let state = null;
let chosen = 0; // episode, as its place in the list
let at = 0; // frame, as its place in the episode
let anchor = null; // other end of the chosen frames

const episode = () => state.episodes[chosen];
const span = () => (anchor === null ? [at, at] : [Math.min(at, anchor), Math.max(at, anchor)]);

function draw() {
  if (!state.episodes.length) return;
  for (const kind of ["success", "failure"]) {
    byId(`n-${kind}`).textContent = state.counts[kind];
    byId(`w-${kind}`).textContent = state.wanted[kind];
    fill(byId(`b-${kind}`), state.counts[kind] / state.wanted[kind]);
  }
  byId("bag").textContent = state.bag;
  byId("episodes").replaceChildren(...state.episodes.map((each, place) => {
    const item = document.createElement("li");
    item.className = place === chosen ? "chosen" : "";
    const marked = each.labels.filter((label) => label !== null).length;
    const name = document.createElement("span");
    name.textContent = `Episode ${each.episode}`;
    const count = document.createElement("span");
    count.className = "soft";
    count.textContent = `${marked} / ${each.steps.length}`;
    item.append(name, count);
    item.onclick = () => open(place);
    return item;
  }));
  drawFrame();
}

function drawFrame() {
  const here = episode();
  const label = here.labels[at];
  const [first, last] = span();
  showCameras(state.cameras, { env: here.env, episode: here.episode, step: here.steps[at] }, label);
  byId("where").textContent = `Episode ${here.episode}, frame ${at + 1} of ${here.steps.length}`;
  byId("mark").textContent = first === last ? word(label) || "no label" : `${last - first + 1} frames chosen`;
  byId("strip").replaceChildren(...here.labels.map((each, place) => {
    const cell = document.createElement("i");
    cell.className = [word(each), place === at ? "here" : "", anchor !== null && place >= first && place <= last ? "span" : ""].join(" ");
    cell.onclick = (event) => go(place, event.shiftKey);
    return cell;
  }));
}

function open(place) {
  chosen = Math.max(0, Math.min(state.episodes.length - 1, place));
  at = 0;
  anchor = null;
  draw();
}

function go(place, choosing) {
  if (choosing && anchor === null) anchor = at;
  if (!choosing) anchor = null;
  at = Math.max(0, Math.min(episode().steps.length - 1, place));
  drawFrame();
}

function mark(verdict, first, last, next) {
  const here = episode();
  const what = { env: here.env, episode: here.episode, verdict, first: here.steps[first], last: here.steps[last] };
  click(what, (answer) => {
    state = answer;
    anchor = null;
    at = Math.min(next, here.steps.length - 1);
    draw();
  });
}

const markChosen = (verdict) => mark(verdict, ...span(), span()[1] + 1);
const markRest = () => mark("success", at, episode().steps.length - 1, at);
const markBefore = () => at > 0 && mark("failure", 0, at - 1, at);

byId("success").onclick = () => markChosen("success");
byId("failure").onclick = () => markChosen("failure");
byId("none").onclick = () => markChosen("none");
byId("rest").onclick = markRest;
byId("before").onclick = markBefore;
onKeys({
  s: () => markChosen("success"),
  f: () => markChosen("failure"),
  x: () => markChosen("none"),
  e: markRest,
  b: markBefore,
  ArrowLeft: (event) => go(at - 1, event.shiftKey),
  ArrowRight: (event) => go(at + 1, event.shiftKey),
  ArrowUp: () => open(chosen - 1),
  ArrowDown: () => open(chosen + 1),
});
follow((answer) => {
  const changed = JSON.stringify(answer) !== JSON.stringify(state);
  state = answer;
  if (changed) draw();
}, 1000);
