// Opens a page in Chromium as readers have it, wide and narrow, light and dark, and says
// what came of it, as JSON: `browser.mjs CHROMIUM PACKAGES URL`. The browser is spoken to
// over a pipe; what is evaluated that way is not under the page's policy.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [chromium, packages, url] = process.argv.slice(2);
const axe = readFileSync(join(packages, "node_modules/axe-core/axe.min.js"), "utf8");
const SIZES = [[1280, 900], [400, 800]];
// Of a tenth of a second each, on a machine that is busy with other tests.
const STEPS_MAX = 600;
const SCHEMES = ["light", "dark"];

const profile = mkdtempSync(join(tmpdir(), "hearth-browser-"));
const browser = spawn(chromium, [
  "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
process.on("exit", () => browser.kill("SIGKILL"));

const waiting = new Map();
const heard = { requests: [], complaints: [] };
let rest = "";
browser.stdio[4].on("data", (bytes) => {
  const messages = (rest + bytes).split("\0");
  rest = messages.pop();
  messages.forEach((message) => take(JSON.parse(message)));
});

function take({ id, result, error, method, params }) {
  if (id) {
    const [resolve, reject] = waiting.get(id);
    return error ? reject(new Error(error.message)) : resolve(result);
  }
  if (method === "Network.requestWillBeSent") heard.requests.push(params.request.url);
  if (method === "Log.entryAdded") heard.complaints.push(params.entry.text);
  if (method === "Runtime.exceptionThrown") heard.complaints.push(params.exceptionDetails.text);
}

let session;
function send(method, params = {}) {
  const id = waiting.size + 1;
  browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
  return new Promise((resolve, reject) => waiting.set(id, [resolve, reject]));
}

async function evaluate(expression) {
  const answer = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception.description);
  return answer.result.value;
}

async function until(expression) {
  for (let steps = 0; steps < STEPS_MAX; steps += 1) {
    if (await evaluate(`Boolean(${expression})`)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`it never came to be: ${expression}`);
}

async function press(key, code) {
  const pressed = { key, code: key, windowsVirtualKeyCode: code, text: key === "Enter" ? "\r" : undefined };
  await send("Input.dispatchKeyEvent", { type: "keyDown", ...pressed });
  await send("Input.dispatchKeyEvent", { type: "keyUp", ...pressed });
}

const control = (start) => `[...document.querySelectorAll(".opblock-summary-control")]
  .find((one) => one.textContent.startsWith("${start}"))`;
const opened = (start) => `${control(start)}.closest(".opblock")`;

// With the keyboard alone, from the operation before. From the beginning of the page it
// would be hundreds of steps.
async function openByKeyboard(start) {
  await evaluate(`${control(start)}.closest("span, .operation-tag-content > *")
    .previousElementSibling.querySelector(".opblock-summary-control").focus()`);
  for (let steps = 0; steps < 10; steps += 1) {
    await press("Tab", 9);
    if (await evaluate(`document.activeElement === ${control(start)}`)) break;
  }
  await press("Enter", 13);
  await until(`${opened(start)}.querySelector(".responses-table")`);
}

async function look([width, height], scheme) {
  const features = [{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }];
  await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
  await send("Emulation.setEmulatedMedia", { features });
  await send("Page.navigate", { url: "about:blank" });
  await send("Page.navigate", { url });
  await until("document.querySelectorAll('.opblock').length > 0");
  const own = opened("POST/support/tickets");
  if (!seen.length) await openByKeyboard("POST/support/tickets");
  else await evaluate(`${control("POST/support/tickets")}.click()`);
  await until(`${own}.querySelector(".tablinks[data-name=schema], .tablinks[data-name=model]")`);
  await evaluate(`${own}.querySelector(".tablinks[data-name=schema], .tablinks[data-name=model]").click()`);
  await until(`${own}.querySelector(".json-schema-2020-12__constraint")`);
  const constraints = await evaluate(`[...document.querySelectorAll(".json-schema-2020-12__constraint")]
    .map((one) => one.textContent)`);
  // Answered without a key: by the host itself, with 401.
  await evaluate(`${own}.querySelector(".try-out__btn").click()`);
  await until(`${own}.querySelector(".execute")`);
  await evaluate(`${own}.querySelector(".execute").click()`);
  await until(`${own}.querySelector(".live-responses-table .response")`);
  await evaluate(`${axe}; undefined`);
  // Both schemes and both sizes, each once: it looks at every element for seconds.
  const isJudged = (width > 500) === (scheme === "light");
  await evaluate(`window.isJudged = ${isJudged}`);
  return { width, scheme, constraints, ...(await evaluate(SEEN.replaceAll("OPENED", own))) };
}

const SEEN = `(async () => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const violations = isJudged ? (await axe.run()).violations : [];
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const place = (selector) => OPENED.querySelector(selector).getBoundingClientRect().top;
  return {
    faults: grave.flatMap(({ id, nodes }) => nodes.map(({ html, any }) => id + ": " + html.slice(0, 200) + " " + (any[0]?.message ?? ""))),
    background: getComputedStyle(document.documentElement).backgroundColor,
    overflow: document.documentElement.scrollWidth - innerWidth,
    tags: all(".opblock-tag").map((tag) => tag.textContent),
    routes: all("#operations .opblock-tag-section .opblock-summary-control").map((one) => one.textContent),
    webhooks: all(".webhooks .opblock-summary-control").map((one) => one.textContent),
    path_breaks: getComputedStyle(document.querySelector(".opblock-summary-path")).wordBreak,
    execute_above_answers: place(".execute") < place(".responses-table"),
    answered: OPENED.querySelector(".live-responses-table .response .response-col_status").textContent,
  };
})()`;

const { targetInfos } = await send("Target.getTargets");
const { targetId } = targetInfos.find(({ type }) => type === "page");
session = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
for (const domain of ["Page", "Network", "Log", "Runtime"]) await send(`${domain}.enable`);
const seen = [];
for (const size of SIZES) {
  for (const scheme of SCHEMES) {
    seen.push(await look(size, scheme));
    if (process.env.HEARTH_TEST_SCREENSHOTS) {
      const { data } = await send("Page.captureScreenshot", { format: "png" });
      writeFileSync(join(process.env.HEARTH_TEST_SCREENSHOTS, `${size[0]}-${scheme}.png`), Buffer.from(data, "base64"));
    }
  }
}
console.log(JSON.stringify({ seen, ...heard }));
process.exit(0);
