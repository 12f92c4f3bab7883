package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
)

const friend = "https://app.example"

// API8:2023: no page of another site may call the API unless it is listed.
func TestPagesOfOtherSitesMayCallTheAPIOnlyWhereListed(t *testing.T) {
	t.Parallel()
	ask := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type"}
	for name, tt := range map[string]struct {
		listed  []string
		origin  string
		allowed bool
	}{
		"listed":                  {[]string{"http://localhost:3000", friend}, friend, true},
		"not listed":              {[]string{friend}, "https://evil.example", false},
		"a longer name":           {[]string{friend}, friend + ".evil.example", false},
		"another scheme":          {[]string{friend}, "http://app.example", false},
		"nothing is by default":   {nil, friend, false},
		"no page, but a sandbox":  {[]string{friend}, "null", false},
		"by default, and no page": {nil, "null", false},
	} {
		d := open(t, withMetrics, withPage, func(c *Config) { c.Origins = tt.listed })
		before := d.send(http.MethodOptions, "/v1/grades", "", append([]string{"Origin: " + tt.origin}, ask...)...)
		during := d.post(asked, "Origin: "+tt.origin, "Sec-Fetch-Site: cross-site")
		if !tt.allowed {
			require.Equal(t, http.StatusMethodNotAllowed, before.StatusCode, name)
			require.Equal(t, api.CrossOrigin.Type, problem(t, during).Type, name)
			for _, r := range []reply{before, during} {
				for header := range r.Header {
					require.False(t, strings.HasPrefix(header, "Access-Control-"), "%s: %s", name, header)
				}
			}
			require.Zero(t, d.grader.calls())
			continue
		}
		require.Equal(t, http.StatusNoContent, before.StatusCode, name)
		require.Equal(t, tt.origin, before.Header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, before.Header.Get("Access-Control-Allow-Headers"), "Authorization")
		require.Contains(t, before.Header.Get("Access-Control-Allow-Methods"), "POST")
		require.Equal(t, http.StatusOK, during.StatusCode, name)
		require.Equal(t, tt.origin, during.Header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, during.Header.Get("Access-Control-Expose-Headers"), "X-Cache")
		for _, r := range []reply{before, during} {
			require.Equal(t, "Origin", r.Header.Get("Vary"))
			require.Empty(t, r.Header.Get("Access-Control-Allow-Credentials"), "a page brings its own key")
		}
		page := d.send(http.MethodPost, "/sets/platform/on-call", "answer=x", "Origin: "+tt.origin, "Sec-Fetch-Site: cross-site")
		require.Equal(t, api.CrossOrigin.Type, problem(t, page).Type, "the web page takes no forms of others all the same")
		for _, path := range []string{"/", "/metrics", "/healthz"} {
			require.Empty(t, d.get(path, "Origin: "+tt.origin).Header.Get("Access-Control-Allow-Origin"), path)
		}
	}
}

// A session is not for pages of other sites, listed or not.
func TestListedPagesBringAKeyOfTheirOwn(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *Config) {
		c.Origins, c.Keys = []string{friend}, ring(t, clearKey)
		c.Session = func(*http.Request) string { return clearKey }
	})
	from := []string{"Origin: " + friend, "Sec-Fetch-Site: same-site"}
	r := d.post(asked, from...)
	require.Equal(t, api.KeyNeeded.Type, problem(t, r).Type)
	require.Equal(t, friend, r.Header.Get("Access-Control-Allow-Origin"), "the page may read what is wrong")
	require.Equal(t, http.StatusOK, d.post(asked, append(from, "Authorization: Bearer "+clearKey)...).StatusCode)
}
