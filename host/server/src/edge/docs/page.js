// Shows /openapi.json with Swagger UI, and changes of it what this host's readers need
// otherwise. Style and network are bound by the page's Content-Security-Policy.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const KEY_HEADERS = ["X-API-Key", "Authorization"];
const withoutKey = (request) =>
  KEY_HEADERS.filter((name) => request.hasIn(["headers", name]))
    .reduce((shown, name) => shown.setIn(["headers", name], name === "Authorization" ? "Bearer hk_…" : "hk_…"), request);

const adjustments = ({ React }) => ({
  components: {
    // There is one server: the one that sent this page.
    ServersContainer: () => null,
    // As text: a link inside of the button that opens an operation is reached by no keyboard.
    DeepLink: ({ text }) => React.createElement("span", null, text),
  },
  wrapComponents: {
    // Regular expressions are for programs: the description says it in words.
    JSONSchema202012KeywordConstraint: (Original) => (props) =>
      props.constraint.value.startsWith("matches ") ? null : React.createElement(Original, props),
    // Without the key: what is copied is often shown to others.
    curl: (Original) => ({ request, ...props }) =>
      React.createElement(Original, { ...props, request: withoutKey(request) }),
  },
});

SwaggerUIBundle({
  url: "/openapi.json",
  domNode: document.getElementById("page"),
  plugins: [adjustments],
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  syntaxHighlight: { theme: "tomorrow-night" },
  defaultModelsExpandDepth: -1,
  // With members: a schema that is shown without them passes over the first click.
  defaultModelExpandDepth: 2,
  displayRequestDuration: true,
  // It would be asked on another host.
  validatorUrl: null,
});

// Names for those of its controls that have none, so that a screen reader says what they are.
function label(root) {
  const name = (selector, nameOf) => {
    for (const one of root.querySelectorAll(`${selector}:not([aria-label])`)) {
      one.setAttribute("aria-label", nameOf(one));
    }
  };
  const parameter = (one) => one.closest("[data-param-name]").dataset.paramName;
  name("[data-param-name] :is(select, input, textarea)", parameter);
  name(".body-param__text", () => "Request body");
  name(".operation-filter-input", () => "Filter by tag or path");
  name(".close-modal", () => "Close");
  // Its name would be another than what is written on it.
  for (const one of root.querySelectorAll(".modal-btn.authorize[aria-label]")) {
    one.removeAttribute("aria-label");
  }
  // What scrolls is reached with the keyboard.
  for (const one of root.querySelectorAll("pre.microlight:not([tabindex])")) one.tabIndex = 0;
}

const page = document.getElementById("page");
new MutationObserver(() => label(page)).observe(page, { childList: true, subtree: true });
