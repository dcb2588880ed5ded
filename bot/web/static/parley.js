"use strict";
// Everything works without this file; with it, messages arrive by themselves and forms open in place.
(() => {
  const list = document.getElementById("messages");
  const dialog = document.getElementById("dialog");

  function place(html, id) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const fresh = holder.content.firstElementChild;
    const old = document.getElementById("m" + id);
    const nearEnd = window.innerHeight + window.scrollY > document.body.offsetHeight - 160;
    if (old) old.replaceWith(fresh);
    else {
      document.getElementById("nothing")?.remove();
      list.append(fresh);
    }
    if (nearEnd || !old) window.scrollTo({ top: document.body.scrollHeight });
  }

  function show(html) {
    dialog.innerHTML = html;
    if (!dialog.open) dialog.showModal();
    const wrong = dialog.querySelector(".wrong input, .wrong select, .wrong textarea");
    (wrong || dialog.querySelector(".field input:not([type=hidden]), .field select, .field textarea"))?.focus();
  }

  function tell(text, form) {
    if (form?.closest("dialog")) { // what is typed there must not go
      const told = form.querySelector(":scope > .told") || form.insertBefore(document.createElement("p"), form.firstChild);
      told.className = "error told";
      told.setAttribute("role", "alert");
      told.textContent = text;
      told.scrollIntoView();
      return;
    }
    show('<p class="error" role="alert"></p><form method="dialog"><button class="button neutral">Close</button></form>');
    dialog.querySelector(".error").textContent = text;
  }

  async function send(form, pressed) {
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    try {
      const plain = form.enctype !== "multipart/form-data";
      const data = new FormData(form);
      if (pressed?.name) data.set(pressed.name, pressed.value);
      const answer = await fetch(pressed?.getAttribute("formaction") || form.getAttribute("action"), { // a field named `action` would hide form.action
        method: "POST",
        headers: { "X-Parley-Fragment": "1" },
        body: plain ? new URLSearchParams(data) : data,
      });
      if (!(answer.headers.get("content-type") || "").includes("json")) {
        tell((await answer.text()).replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim() || `Status ${answer.status}`, form);
        return false;
      }
      const told = await answer.json();
      if (told.form) show(told.form);
      else if (dialog?.open) dialog.close();
      return true;
    } catch {
      tell("The bot did not answer. What you typed is still here; try again in a moment.", form);
      return false;
    } finally {
      buttons.forEach((button) => (button.disabled = false));
    }
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    if (form.method !== "post" || !list) return;
    event.preventDefault();
    const sent = await send(form, event.submitter);
    if (sent && form.id === "say") form.reset();
  });

  document.addEventListener("change", (event) => { // what is typed is kept, should the page be closed
    const form = event.target.closest?.("form.fill");
    const action = form?.getAttribute("action") || "";
    if (!action.startsWith("/form/") || /password|file/.test(event.target.type)) return;
    const data = new FormData(form);
    form.querySelectorAll("input[type=password], input[type=file]").forEach((hidden) => data.delete(hidden.name));
    fetch(`${action}/keep`, { method: "POST", body: data, keepalive: true }).catch(() => undefined);
  });

  document.addEventListener("click", (event) => {
    if (dialog && event.target.closest(".cancel") && dialog.open) {
      event.preventDefault();
      dialog.close();
    }
  });

  if (list) {
    window.scrollTo({ top: document.body.scrollHeight });
    const source = new EventSource(`/events?channel=${encodeURIComponent(list.dataset.channel)}&after=${list.dataset.after}`);
    source.addEventListener("message", (event) => {
      const told = JSON.parse(event.data);
      place(told.html, told.id);
    });
    const text = document.getElementById("text");
    const said = [];
    let back = 0;
    document.getElementById("say").addEventListener("submit", () => {
      if (text.value) said.push(text.value);
      back = said.length;
    });
    text.addEventListener("keydown", (event) => {
      if (event.key === "ArrowUp" && back > 0) text.value = said[--back];
      else if (event.key === "ArrowDown" && back < said.length) text.value = said[++back] ?? "";
    });
    let asked = 0;
    text.addEventListener("input", async () => {
      const mine = ++asked;
      const answer = await fetch(`/complete?channel=${encodeURIComponent(list.dataset.channel)}&text=${encodeURIComponent(text.value)}`);
      if (mine !== asked || !answer.ok) return;
      const options = document.getElementById("suggestions");
      options.replaceChildren(...(await answer.json()).map((value) => Object.assign(document.createElement("option"), { value })));
    });
  }

  const live = document.getElementById("live");
  if (live) {
    const source = new EventSource(`/events/execution/${live.dataset.execution}`);
    source.addEventListener("message", (event) => {
      const typing = live.contains(document.activeElement) && /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName);
      if (!typing && !live.querySelector("details.more[open]")) live.innerHTML = JSON.parse(event.data).html;
    });
    source.addEventListener("end", () => source.close());
  }
})();
