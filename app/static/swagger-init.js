// The page names the document; a script of its own lets the Content-Security-Policy refuse inline ones.
SwaggerUIBundle({
  url: document.getElementById("viewer").dataset.document,
  dom_id: "#viewer",
  deepLinking: true,
  validatorUrl: null,
});
