package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
)

// pagePaths are what the web page owns besides /. They are for people: the
// document of the service does not list them.
var pagePaths = []string{"/sets/*path", "/batches", "/batches/*path", "/session", "/view", "/static/*path"}

// page hands a request over to the web page, which sets its own policy.
func (s *Server) page(c *gin.Context) error {
	if err := s.origins.Check(c.Request); err != nil {
		return fail(api.CrossOrigin, "This request comes from another site.")
	}
	s.cfg.Page.ServeHTTP(c.Writer, c.Request)
	return nil
}

// nowhere answers for a path that is not ours: with a page to somebody who
// follows a link, with a problem to a program.
func (s *Server) nowhere(c *gin.Context) error {
	r := c.Request
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if s.cfg.Page != nil && reading && strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/v1/") {
		s.cfg.Page.ServeHTTP(c.Writer, r)
		return nil
	}
	return fail(api.NotFound, "There is nothing at this path.")
}

// credential is the key that a request brings: a bearer key, or that of a
// session where this service's own page sent the request.
func (s *Server) credential(r *http.Request) (string, bool) {
	if authorization := r.Header.Get("Authorization"); authorization != "" || s.cfg.Session == nil {
		return bearer(authorization)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin": // older browsers do not say; the cookie is SameSite=Strict
		key := s.cfg.Session(r)
		return key, key != ""
	}
	return "", false
}

// addressed refuses requests for a name that is not ours, where there is a list
// of those that are.
func (s *Server) addressed(c *gin.Context) {
	if len(s.cfg.Hosts) > 0 && !s.guarded() && !slices.Contains(s.cfg.Hosts, hostname(c.Request.Host)) {
		s.fail(c, fail(api.Misdirected, "This service answers to "+strings.Join(s.cfg.Hosts, ", ")+" only."))
	}
}

// hostname is the name in a Host header, without the port, in the form that
// Config.Hosts has.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
