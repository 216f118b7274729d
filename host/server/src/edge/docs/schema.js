// Elements, and what a schema looks like: as a tree to read and as an example.

// How deep a tree is drawn and an example made: schemas may contain themselves.
const DEPTH_MAX = 6;

/** A new element. Text is only ever set as text: the document is not trusted as HTML. */
export function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key === "text") made.textContent = value;
    else if (key === "class") made.className = value;
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Prose, with `code` between backticks. */
export function prose(text, options = {}) {
  const paragraph = element("p", options);
  String(text).split("`").forEach((part, index) => {
    paragraph.append(index % 2 ? element("code", { text: part }) : part);
  });
  return paragraph;
}

/** What a reference of the document leads to, however often it leads on. */
export function resolve(root, value) {
  for (let step = 0; step < 10 && value && typeof value.$ref === "string"; step += 1) {
    const keys = value.$ref.slice(2).split("/");
    value = keys.reduce((at, key) => at?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], root);
  }
  return value;
}

function typeOf(root, schema) {
  if (schema === true) return "anything";
  if (schema === false) return "nothing";
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const any = schema.oneOf ?? schema.anyOf;
  if (any) return any.map((one) => typeOf(root, resolve(root, one))).join(" | ");
  const types = [].concat(schema.type ?? (schema.properties ? "object" : "anything"));
  const named = types.map((type) => {
    if (type === "array" && schema.items) return `list of ${typeOf(root, resolve(root, schema.items))}`;
    return type === "string" && schema.format ? schema.format : type;
  });
  return named.join(" | ");
}

function boundsOf(schema) {
  const range = (low, high, unit) => {
    if (low === undefined && high === undefined) return null;
    if (high === undefined) return `at least ${low}${unit}`;
    return low === undefined ? `at most ${high}${unit}` : `${low} to ${high}${unit}`;
  };
  return [
    range(schema.minimum, schema.maximum, ""),
    range(schema.minLength, schema.maxLength, " characters"),
    range(schema.minItems, schema.maxItems, " items"),
    schema.uniqueItems ? "each once" : null,
    schema.pattern ? `matches ${schema.pattern}` : null,
    schema.default === undefined ? null : `default ${JSON.stringify(schema.default)}`,
  ].filter(Boolean);
}

/** Type and bounds in one line. */
export function line(root, schema) {
  schema = resolve(root, schema) ?? true;
  const text = element("span", { class: "quiet", text: typeOf(root, schema) });
  const bounds = schema === true || schema === false ? [] : boundsOf(schema);
  if (bounds.length) text.append(`; ${bounds.join("; ")}`);
  return text;
}

/** The members of an object, or of a list's items, as a tree. */
export function tree(root, schema, depth = 0) {
  schema = resolve(root, schema);
  if (!schema || schema === true || depth > DEPTH_MAX) return null;
  if (schema.items) return tree(root, schema.items, depth + 1);
  const variants = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (variants) {
    const drawn = variants.map((one) => tree(root, one, depth + 1)).filter(Boolean);
    return drawn.length ? element("div", {}, ...drawn) : null;
  }
  const members = Object.entries(schema.properties ?? {});
  if (!members.length) return null;
  const list = element("ul", { class: "schema" });
  for (const [name, member] of members) {
    const must = (schema.required ?? []).includes(name);
    const shown = resolve(root, member);
    list.append(element("li", {},
      element("span", { class: "name", text: name }), " ", line(root, member), " ",
      must ? element("span", { class: "must", text: "required" }) : null,
      shown?.description ? prose(shown.description, { class: "quiet" }) : null,
      tree(root, member, depth + 1)));
  }
  return list;
}

/** A value of the schema: the author's own where there is one. */
export function example(root, schema, depth = 0) {
  schema = resolve(root, schema);
  if (!schema || schema === true || depth > DEPTH_MAX) return null;
  if (schema.example !== undefined) return schema.example;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants) return example(root, variants[0], depth + 1);
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((one) => example(root, one, depth + 1)));
  const type = [].concat(schema.type ?? (schema.properties ? "object" : "null"))[0];
  const plain = { string: "text", integer: schema.minimum ?? 1, number: schema.minimum ?? 1, boolean: true };
  if (type === "array") return schema.items ? [example(root, schema.items, depth + 1)] : [];
  if (type !== "object") return plain[type] ?? null;
  const members = Object.entries(schema.properties ?? {});
  return Object.fromEntries(members.map(([name, member]) => [name, example(root, member, depth + 1)]));
}

/** The example of a media type, a parameter or a header. */
export function exampleOf(root, media) {
  if (media.example !== undefined) return media.example;
  const named = Object.values(media.examples ?? {})[0];
  const value = resolve(root, named)?.value;
  return value === undefined ? example(root, media.schema ?? true) : value;
}

/** Text as it is, anything else as indented JSON. */
export function show(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
