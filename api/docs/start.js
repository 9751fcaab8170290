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
