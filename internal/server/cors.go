package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// What pages of the origins that an operator lists may send to the API, and
// read of its replies. Credentials of the browser are not among it: such a page
// sends a key of its own.
var (
	corsMethods = []string{"GET, POST, DELETE"}
	corsSend    = []string{"Authorization, Cache-Control, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id"}
	corsRead    = []string{"ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Cache, X-Request-Id"}
	corsKeep    = []string{"600"}
	varyOrigin  = []string{"Origin"}
)

// cors lets pages of the listed origins call the API, and answers a browser that
// asks beforehand.
func (s *Server) cors(c *gin.Context) {
	if len(s.cfg.Origins) == 0 || !strings.HasPrefix(c.Request.URL.Path, "/v1/") {
		return
	}
	h := c.Writer.Header()
	h["Vary"] = varyOrigin
	origin := c.Request.Header.Get("Origin")
	if !slices.Contains(s.cfg.Origins, origin) {
		return
	}
	h["Access-Control-Allow-Origin"] = []string{origin}
	if c.Request.Method != http.MethodOptions || c.Request.Header.Get("Access-Control-Request-Method") == "" {
		h["Access-Control-Expose-Headers"] = corsRead
		return
	}
	h["Access-Control-Allow-Methods"] = corsMethods
	h["Access-Control-Allow-Headers"] = corsSend
	h["Access-Control-Max-Age"] = corsKeep
	c.AbortWithStatus(http.StatusNoContent)
}
