// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
"use strict";

let frame = null; // the one that is shown, null before the first

function row(each) {
  const line = document.createElement("tr");
  const kept = each.label === null ? each.success : each.label;
  const cells = [each.episode, `${each.steps} steps, ${each.seconds.toFixed(1)} s`, each.end, kept ? "kept" : "no"];
  line.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
  line.children[3].className = kept ? "good" : "bad";
  const last = document.createElement("td");
  const press = (text, what) => {
    const button = Object.assign(document.createElement("button"), { textContent: text });
    button.onclick = () => click({ do: what, env: each.env, episode: each.episode }, draw);
    last.append(button, " ");
  };
  press(kept ? "Discard" : "Keep", kept ? "discard" : "keep");
  if (each.label !== null) press("Undo", "undo");
  line.append(last);
  return line;
}

function draw(state) {
  byId("bag").textContent = state.bag;
  byId("kept").textContent = state.kept;
  byId("wanted").textContent = state.wanted;
  fill(byId("progress"), state.kept / Math.max(1, state.wanted));
  byId("finish").disabled = state.finished || !state.kept;
  byId("finish").className = state.kept >= state.wanted ? "good" : "";
  byId("finish").textContent = state.finished ? "Finished" : "Finish";
  for (const kind of ["success", "failure"]) byId(`n-${kind}`).textContent = state.marked[kind];
  frame = state.frame;
  if (frame !== null) {
    byId("now").textContent = `Episode ${frame.episode}, step ${frame.step}`;
    showCameras(state.cameras, frame, frame.label);
  }
  const rows = state.episodes.slice().reverse().map(row);
  const old = byId("episodes").innerHTML;
  const body = document.createElement("tbody");
  body.append(...rows);
  if (body.innerHTML !== old) byId("episodes").replaceChildren(...rows);
}

// The server has seen newer frames by now: the click names the one that the person saw.
const mark = (verdict) => click({ ...frame, do: verdict }, draw);
byId("finish").onclick = () => click({ do: "finish" }, draw);
byId("success").onclick = () => mark("success");
byId("failure").onclick = () => mark("failure");
onKeys({ s: () => mark("success"), f: () => mark("failure") });
follow(draw, 200);
