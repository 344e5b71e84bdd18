SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.url,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // else the schema is sent to validator.swagger.io, wherever this is not localhost
});
