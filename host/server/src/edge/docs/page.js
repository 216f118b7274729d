// Reads /openapi.json and draws it: contents on the left, operations by plugin.

import { element, exampleOf, line, prose, resolve, show, tree } from "./schema.js";
import { tryOut } from "./try.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];

const at = (id) => document.getElementById(id);

/** Every operation of a map of path items, in the document's order. */
function operationsOf(root, items, kind) {
  const all = [];
  for (const [path, raw] of Object.entries(items ?? {})) {
    const item = resolve(root, raw);
    for (const method of METHODS.filter((name) => item[name])) {
      const operation = item[method];
      const own = [...(item.parameters ?? []), ...(operation.parameters ?? [])];
      const parameters = own.map((one) => resolve(root, one)).filter(Boolean);
      all.push({ kind, path, method, operation, parameters, id: idOf(kind, method, path) });
    }
  }
  return all;
}

const idOf = (kind, method, path) => `${kind}-${method}-${path}`.replace(/[^A-Za-z0-9]+/g, "-");

function head({ path, method, operation }) {
  return [
    element("span", { class: `method ${method}`, text: method }),
    element("span", { class: "path", text: path }),
    element("span", { class: "quiet", text: operation.summary ?? "" }),
  ];
}

function parameterTable(root, parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((one) => element("tr", {},
    element("td", {}, element("span", { class: "name", text: one.name }), " ",
      one.required ? element("span", { class: "must", text: "required" }) : null),
    element("td", { text: one.in }),
    element("td", {}, line(root, one.schema ?? true), one.description ? prose(one.description) : null)));
  const heads = ["Name", "In", "What"].map((text) => element("th", { scope: "col", text }));
  return element("div", {}, element("h3", { text: "Parameters" }),
    element("div", { class: "scroll" },
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows))));
}

function contents(root, content) {
  return Object.entries(content ?? {}).map(([type, media]) => {
    const value = exampleOf(root, media);
    return element("div", {},
      element("p", { class: "quiet", text: type }),
      tree(root, media.schema),
      value === null ? null : element("details", {},
        element("summary", { text: "Example" }), element("pre", { tabindex: "0", text: show(value) })));
  });
}

function requestBody(root, operation) {
  const body = resolve(root, operation.requestBody);
  if (!body) return null;
  return element("div", {}, element("h3", { text: body.required ? "Body, required" : "Body" }),
    body.description ? prose(body.description) : null, ...contents(root, body.content));
}

function response(root, status, raw) {
  const one = resolve(root, raw) ?? {};
  const headers = Object.entries(one.headers ?? {}).map(([name, header]) => {
    const shown = resolve(root, header);
    return element("li", {}, element("span", { class: "name", text: name }), " ",
      line(root, shown?.schema ?? true), shown?.description ? prose(shown.description, { class: "quiet" }) : null);
  });
  return element("details", { class: "response" },
    element("summary", {}, element("span", { class: "status", text: status }), one.description ?? ""),
    ...contents(root, one.content),
    headers.length ? element("details", {}, element("summary", { text: "Headers" }),
      element("ul", { class: "schema" }, ...headers)) : null);
}

function needsKey(root, operation) {
  const wanted = operation.security ?? root.security ?? [];
  return wanted.length > 0 && !wanted.some((one) => Object.keys(one).length === 0);
}

/** The inside of an operation, drawn when it is first opened. */
function drawn(root, entry, key) {
  const { operation, parameters, path, method, kind } = entry;
  const byNumber = (one, other) => one[0].localeCompare(other[0]);
  const responses = Object.entries(operation.responses ?? {}).sort(byNumber);
  return element("div", { class: "body" },
    operation.description ? prose(operation.description, { class: "intro" }) : null,
    kind === "path" && !needsKey(root, operation) ? prose("This wants no key.", { class: "quiet" }) : null,
    parameterTable(root, parameters),
    requestBody(root, operation),
    element("h3", { text: "Answers" }),
    ...responses.map(([status, one]) => response(root, status, one)),
    kind === "path" ? tryOut(root, path, method, operation, parameters, key) : null);
}

function operationBlock(root, entry, key) {
  const block = element("details", {
    class: `operation${entry.operation.deprecated ? " deprecated" : ""}`, id: entry.id,
  }, element("summary", {}, ...head(entry)));
  block.addEventListener("toggle", () => {
    if (block.open && block.childElementCount === 1) block.append(drawn(root, entry, key));
  });
  entry.block = block;
  return block;
}

function navList(entries) {
  return element("ul", {}, ...entries.map((entry) => {
    entry.link = element("li", {}, element("a", { href: `#${entry.id}` },
      element("span", { class: `method ${entry.method}`, text: entry.method }),
      element("span", { class: "path", text: entry.path })));
    return entry.link;
  }));
}

function draw(root, key) {
  const entries = [...operationsOf(root, root.paths, "path"), ...operationsOf(root, root.webhooks, "webhook")];
  for (const tag of root.tags ?? []) {
    const title = tag["x-displayName"] ?? tag.name;
    const own = entries.filter(({ operation }) => (operation.tags ?? []).includes(tag.name));
    const paths = own.filter(({ kind }) => kind === "path");
    const hooks = own.filter(({ kind }) => kind === "webhook");
    at("nav").append(element("h2", { text: title }), navList(own));
    at("content").append(element("section", { "aria-label": title },
      element("h2", { text: title }),
      tag.description ? prose(tag.description, { class: "intro" }) : null,
      ...paths.map((entry) => operationBlock(root, entry, key)),
      hooks.length ? element("h3", { text: "Webhooks: requests that you receive" }) : null,
      ...hooks.map((entry) => operationBlock(root, entry, key))));
  }
  return entries;
}

function filter(entries, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { method, path, operation, block, link } of entries) {
    const text = `${method} ${path} ${operation.summary ?? ""} ${operation.description ?? ""}`.toLowerCase();
    const hidden = !wanted.every((word) => text.includes(word));
    for (const shown of [block, link]) if (shown) shown.hidden = hidden;
  }
}

function openLinked() {
  const block = at(decodeURIComponent(location.hash.slice(1)));
  if (block?.tagName !== "DETAILS") return;
  block.open = true;
  block.scrollIntoView();
  block.querySelector("summary").focus({ preventScroll: true });
}

async function start() {
  if (matchMedia("(max-width: 52rem)").matches) at("contents").open = false;
  at("settings").addEventListener("submit", (event) => event.preventDefault());
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`the host answered ${answer.status}`);
  const root = await answer.json();
  at("title").textContent = document.title = root.info.title;
  at("version").textContent = root.info.version;
  if (root.info.description) at("content").append(prose(root.info.description, { class: "intro" }));
  const entries = draw(root, () => at("key").value.trim());
  at("filter").addEventListener("input", (event) => filter(entries, event.target.value));
  window.addEventListener("hashchange", openLinked);
  at("state").hidden = true;
  openLinked();
}

start().catch((error) => {
  at("state").textContent = `openapi.json cannot be read: ${error.message}. Reload to try again.`;
  at("state").className = "note";
});
