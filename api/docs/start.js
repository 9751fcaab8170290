// No validator: it would send the description's address to another site.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
  docExpansion: "list",
  presets: [SwaggerUIBundle.presets.apis],
});

// For those who hear the page or use its keyboard: the list of servers has a
// name, and no link stands within a button, which does the same.
const docs = document.getElementById("docs");
new MutationObserver(() => {
  docs.querySelector("#servers")?.setAttribute("aria-label", "Server");
  for (const link of docs.querySelectorAll("button a[href]")) link.removeAttribute("href");
}).observe(docs, { childList: true, subtree: true });
