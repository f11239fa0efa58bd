// Shows the server's own OpenAPI document. A key that is typed in stays in this page's memory.
"use strict";

SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("reference"),
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 2,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: false,
  queryConfigEnabled: false,
  syntaxHighlight: { theme: "agate" },
  validatorUrl: null,
});

document.getElementById("to-operations").addEventListener("click", () => {
  document.querySelector(".scheme-container")?.scrollIntoView();
});
