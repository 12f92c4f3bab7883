package server

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
)

// withPage mounts a page that says where it was asked.
func withPage(c *Config) {
	c.Page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("page " + r.URL.Path)) })
}

func TestUnknownPathsArePagesToPeopleAndProblemsToPrograms(t *testing.T) {
	t.Parallel()
	d := open(t, withPage)
	const browser = "Accept: text/html,application/xhtml+xml"
	require.Equal(t, "page /nothing", string(d.get("/nothing", browser).body))
	require.Equal(t, api.NotFound.Type, problem(t, d.get("/nothing")).Type)
	require.Equal(t, api.NotFound.Type, problem(t, d.get("/v1/nothing", browser)).Type)
	require.Equal(t, api.NotFound.Type, problem(t, d.send("POST", "/nothing", "", browser)).Type)
	require.Equal(t, api.NotFound.Type, problem(t, open(t).get("/nothing", browser)).Type, "no page, no page of it")
}

func TestPageTakesNoFormsFromOtherSites(t *testing.T) {
	t.Parallel()
	d := open(t, withPage)
	r := d.send("POST", "/sets/platform/on-call", "answer=x", "Sec-Fetch-Site: cross-site")
	require.Equal(t, api.CrossOrigin.Type, problem(t, r).Type)
	require.Equal(t, http.StatusOK, d.get("/sets/platform", "Sec-Fetch-Site: cross-site").StatusCode, "a link may lead here")
}

func TestSessionStandsForAKey(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *Config) {
		c.Keys = ring(t, clearKey)
		c.Session = func(r *http.Request) string { return r.Header.Get("Cookie") }
	})
	for name, tt := range map[string]struct {
		want    int
		headers []string
	}{
		"of this site":            {200, []string{"Cookie: " + clearKey, "Sec-Fetch-Site: same-origin"}},
		"by hand":                 {200, []string{"Cookie: " + clearKey, "Sec-Fetch-Site: none"}},
		"by a browser of old":     {200, []string{"Cookie: " + clearKey}},
		"of another site":         {401, []string{"Cookie: " + clearKey, "Sec-Fetch-Site: cross-site"}},
		"of a neighbouring site":  {401, []string{"Cookie: " + clearKey, "Sec-Fetch-Site: same-site"}},
		"for a key that is wrong": {401, []string{"Cookie: x" + clearKey}},
		"nobody's":                {401, nil},
		"beside a wrong bearer":   {401, []string{"Cookie: " + clearKey, "Authorization: Bearer wrong"}},
	} {
		require.Equal(t, tt.want, d.get("/v1/sets", tt.headers...).StatusCode, name)
	}
}

// A page of another site whose name is made to point at this machine would be
// of the same origin as the service; only the name gives it away.
func TestOpenServiceAnswersToItsOwnNamesOnly(t *testing.T) {
	t.Parallel()
	d := open(t, withPage, func(c *Config) { c.Hosts = []string{"localhost", "127.0.0.1", "::1", "gradus.internal"} })
	ask := func(host, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.Host = host
		w := httptest.NewRecorder()
		d.server.ServeHTTP(w, r)
		return w
	}
	for _, host := range []string{"localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:9", "[::1]:8080", "[::1]", "[0:0::1]:80", "gradus.internal.", "Gradus.Internal:80"} {
		require.Equal(t, http.StatusOK, ask(host, "/v1/sets").Code, host)
	}
	for _, host := range []string{"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]:8080", "127.0.0.1:x:y"} {
		for _, path := range []string{"/v1/sets", "/", "/healthz", "/nothing"} {
			w := ask(host, path)
			require.Equal(t, http.StatusMisdirectedRequest, w.Code, "%s %s", host, path)
			require.Contains(t, w.Body.String(), api.Misdirected.Type)
			require.NotContains(t, w.Body.String(), "evil")
		}
	}
}
