package server

import (
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"

	"github.com/gradus-ai/gradus/internal/api"
)

// pagePolicy lets a page load what this service serves and run no script that
// stands in the page itself. Swagger UI sets styles on elements and draws
// icons from data URLs.
const pagePolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// docsPage is Swagger UI without the inline script of its usual page.
const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gradus API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" sizes="32x32" href="/docs/favicon-32x32.png">
</head>
<body>
<noscript><p>This page needs JavaScript. The document itself is at <a href="/openapi.json">/openapi.json</a>.</p></noscript>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

const docsScript = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null
});
`

// landing is what / shows where there is no web page.
const landing = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gradus</title>
</head>
<body>
<h1>gradus</h1>
<p>One written answer in, one scored and evidenced grade out.</p>
<pre>
curl -s http://localhost:8080/v1/sets
curl -s http://localhost:8080/v1/grades -H 'Content-Type: application/json' \
  -d '{"question_id":"lead-platform-engineer/first-90-days","answer":"..."}'
</pre>
<ul>
<li><a href="/docs">/docs</a>: every call, to read and to try</li>
<li><a href="/openapi.json">/openapi.json</a>: the same for tools</li>
<li><a href="/v1/sets">/v1/sets</a>: the question sets</li>
<li><a href="/problems">/problems</a>: what errors mean</li>
<li><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>, <a href="/metrics">/metrics</a></li>
</ul>
</body>
</html>
`

// assets serves Swagger UI's own files, which are embedded compressed. They are
// indexed when somebody first opens the page.
var assets = sync.OnceValue(func() *statigz.Server { return statigz.FileServer(static.FS) })

// docs answers GET /docs and what lies below it.
func (s *Server) docs(c *gin.Context) error {
	c.Header("Content-Security-Policy", pagePolicy)
	switch file := c.Param("file"); file {
	case "", "/":
		writePage(c, "text/html; charset=utf-8", docsPage)
	case "/start.js":
		writePage(c, "text/javascript; charset=utf-8", docsScript)
	case "/swagger-ui.css", "/swagger-ui-bundle.js", "/favicon-32x32.png":
		c.Header("Cache-Control", "public, max-age=3600")
		http.StripPrefix("/docs", assets()).ServeHTTP(c.Writer, c.Request)
	default:
		return fail(api.NotFound, "There is no such file.")
	}
	return nil
}

// home answers GET /.
func (s *Server) home(c *gin.Context) error {
	if s.cfg.Page != nil {
		return s.page(c)
	}
	c.Header("Content-Security-Policy", pagePolicy)
	writePage(c, "text/html; charset=utf-8", landing)
	return nil
}

func (s *Server) metrics(c *gin.Context) error {
	s.cfg.Metrics.ServeHTTP(c.Writer, c.Request)
	return nil
}

func (s *Server) document(c *gin.Context) error {
	c.Header("Cache-Control", "no-cache")
	write(c, http.StatusOK, "application/json", s.openapi)
	return nil
}

func writePage(c *gin.Context, media, text string) {
	c.Header("Cache-Control", "no-cache")
	write(c, http.StatusOK, media, []byte(text))
}

// mcp passes a message of the Model Context Protocol on. What it asks for is
// asked of the service again, with the same key, so that scopes and limits hold.
func (s *Server) mcp(c *gin.Context) error {
	s.cfg.MCP.ServeHTTP(c.Writer, c.Request)
	return nil
}
