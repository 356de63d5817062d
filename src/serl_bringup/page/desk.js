// Copyright 2026 The serl authors. SPDX-License-Identifier: Apache-2.0
// What the pages share: the state is asked for again and again, so that all open pages agree; clicks are answered by it.
"use strict";

const byId = (id) => document.getElementById(id);

function tell(text) {
  byId("error").textContent = text;
  byId("error").classList.toggle("shown", Boolean(text));
}

async function ask(path, options) {
  const answer = await fetch(path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error || answer.statusText);
  return content;
}

async function click(what, show) {
  try {
    show(await ask("/click", { method: "POST", headers: { "X-Serl": "page" }, body: JSON.stringify(what) }));
    tell("");
  } catch (error) {
    tell(error.message);
  }
}

function follow(show, milliseconds) {
  let alive = true;
  const look = async () => {
    try {
      show(await ask("/state"));
      if (!alive) tell("");
      alive = true;
    } catch (error) {
      alive = false;
      tell("The command in the terminal has ended or does not answer. What was saved is on the disk.");
    }
    setTimeout(look, milliseconds);
  };
  look();
}

const word = (label) => (label === true ? "success" : label === false ? "failure" : "");

function showCameras(names, frame, label) {
  const path = [frame.env, frame.episode, frame.step].map(encodeURIComponent).join("/");
  const cameras = byId("cameras");
  cameras.className = `cameras ${word(label)}`;
  if (cameras.dataset.names !== names.join()) {
    cameras.dataset.names = names.join();
    cameras.replaceChildren(...names.map((name) => {
      const figure = document.createElement("figure");
      const caption = document.createElement("figcaption");
      caption.textContent = name;
      figure.append(document.createElement("img"), caption);
      return figure;
    }));
  }
  names.forEach((name, i) => {
    const image = cameras.children[i].firstElementChild;
    const source = `/picture/${path}/${encodeURIComponent(name)}`;
    if (image.getAttribute("src") !== source) image.src = source;
  });
}

function fill(bar, share) {
  bar.firstElementChild.style.width = `${Math.min(100, Math.round(100 * share))}%`;
}

function onKeys(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key](event);
  });
}
