// Sends a request to this host, or says how curl would.

import { element, exampleOf, resolve, show } from "./schema.js";

// What is shown of an answer: a page of tickets is long, and a browser is slow.
const SHOWN_CHARS_MAX = 200_000;

/** A form for an operation. `key` answers the reader's API key. */
export function tryOut(root, path, method, operation, parameters, key) {
  const inputs = parameters.map((parameter) => ({ parameter, input: input(root, parameter) }));
  const body = bodyInput(root, operation);
  const fields = element("fieldset", {}, ...inputs.map(({ parameter, input: one }) => labelled(parameter, one)));
  if (body) fields.append(element("label", { class: "wide", text: `Body (${body.type})` }, body.input));
  const send = element("button", { type: "submit", class: "go", text: "Send" });
  const copy = element("button", { type: "button", text: "Copy as curl" });
  const told = element("div", { "aria-live": "polite" });
  const form = element("form", { class: "try", autocomplete: "off" },
    element("h3", { text: "Try it" }), fields, element("div", { class: "buttons" }, send, copy), told);
  const request = () => built(path, method, inputs, body, key());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    told.replaceChildren(await answered(request()));
    send.disabled = false;
  });
  copy.addEventListener("click", async () => told.replaceChildren(await copied(curl(request()))));
  return form;
}

function labelled(parameter, input) {
  const must = parameter.required ? " (required)" : "";
  return element("label", { text: `${parameter.name}, ${parameter.in}${must}` }, input);
}

function input(root, parameter) {
  const schema = resolve(root, parameter.schema) ?? {};
  if (!schema.enum) {
    const given = parameter.example ?? schema.example;
    const value = parameter.required && given !== undefined ? show(given) : undefined;
    return element("input", { spellcheck: "false", required: Boolean(parameter.required), value });
  }
  const options = ["", ...schema.enum].map((one) => element("option", { value: one, text: one }));
  return element("select", { required: Boolean(parameter.required) }, ...options);
}

function bodyInput(root, operation) {
  const content = resolve(root, operation.requestBody)?.content ?? {};
  const [type, media] = Object.entries(content)[0] ?? [];
  if (!type) return null;
  const textarea = element("textarea", { spellcheck: "false" });
  textarea.value = show(exampleOf(root, media));
  return { type, input: textarea };
}

function built(path, method, inputs, body, key) {
  const url = { path, query: new URLSearchParams() };
  const headers = {};
  for (const { parameter, input: one } of inputs) {
    if (one.value === "") continue;
    if (parameter.in === "path") url.path = url.path.replace(`{${parameter.name}}`, encodeURIComponent(one.value));
    else if (parameter.in === "query") url.query.append(parameter.name, one.value);
    else if (parameter.in === "header") headers[parameter.name] = one.value;
  }
  if (key) headers["X-API-Key"] = key;
  if (body && body.input.value !== "") headers["Content-Type"] = body.type;
  const query = url.query.toString();
  return {
    url: new URL(url.path + (query ? `?${query}` : ""), location.origin).href,
    method: method.toUpperCase(),
    headers,
    body: body && body.input.value !== "" ? body.input.value : undefined,
  };
}

async function answered(request) {
  const began = performance.now();
  try {
    // A redirect would take the key along.
    const answer = await fetch(request.url, {
      method: request.method, headers: request.headers, body: request.body,
      redirect: "error", credentials: "omit", cache: "no-store",
    });
    const text = await answer.text();
    const ms = Math.round(performance.now() - began);
    const heads = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    return element("div", {},
      element("p", {}, element("span", { class: "status", text: `${answer.status} ${answer.statusText}` }), `after ${ms} ms`),
      element("details", {}, element("summary", { text: "Headers" }), element("pre", { tabindex: "0", text: heads })),
      text ? element("pre", { tabindex: "0", text: pretty(text).slice(0, SHOWN_CHARS_MAX) }) : null);
  } catch (error) {
    return element("p", { class: "note", text: `The request was not answered: ${error.message}` });
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;

/** The key is named and not written: what is copied is often shown to others. */
function curl(request) {
  const headers = Object.entries(request.headers).map(([name, value]) =>
    name === "X-API-Key" ? '-H "X-API-Key: $HEARTH_KEY"' : `-H ${quoted(`${name}: ${value}`)}`);
  const body = request.body === undefined ? [] : [`--data-binary ${quoted(request.body)}`];
  return [`curl -sS -X ${request.method} ${quoted(request.url)}`, ...headers, ...body].join(" \\\n  ");
}

async function copied(text) {
  const shown = element("pre", { tabindex: "0", text });
  try {
    await navigator.clipboard.writeText(text);
    return element("div", {}, element("p", { class: "quiet", text: "Copied. The key comes from $HEARTH_KEY." }), shown);
  } catch {
    return element("div", {}, element("p", { class: "quiet", text: "The key comes from $HEARTH_KEY." }), shown);
  }
}
