package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
)

const (
	clearKey  = "a-clear-key-of-thirty-two-letters"
	hashedKey = "a-key-that-only-its-digest-is-known-of"
)

// locked opens a server that wants a key.
func locked(t *testing.T) *door {
	t.Helper()
	sum := sha256.Sum256([]byte(hashedKey))
	return open(t, func(c *Config) {
		c.Keys = ring(t, clearKey, "sha256:"+hex.EncodeToString(sum[:]))
		c.Metrics = http.NotFoundHandler()
	})
}

// ring holds keys as an operator sets them.
func ring(t testing.TB, keys ...string) *access.Ring {
	t.Helper()
	var cfg access.RingConfig
	for _, text := range keys {
		key, err := access.ParseConfigured(text)
		require.NoError(t, err)
		cfg.Configured = append(cfg.Configured, key)
	}
	return access.NewRing(cfg)
}

func TestGuardedPathsWantAKey(t *testing.T) {
	t.Parallel()
	d := locked(t)
	for _, tt := range []struct{ method, path string }{
		{"POST", "/v1/grades"}, {"GET", "/v1/grades/" + someGrade}, {"DELETE", "/v1/grades/" + someGrade},
		{"GET", "/v1/sets"}, {"HEAD", "/v1/sets"}, {"GET", "/v1/sets/platform"},
		{"GET", "/v1/sets/platform/questions/on-call"}, {"GET", "/metrics"},
	} {
		for name, header := range map[string]string{
			"no key":         "Authorization: ",
			"an unknown key": "Authorization: Bearer " + clearKey + "x",
			"half a key":     "Authorization: Bearer " + clearKey[:32],
			"an empty key":   "Authorization: Bearer  ",
			"another scheme": "Authorization: Basic " + clearKey,
			"the key alone":  "Authorization: " + clearKey,
			"the digest":     "Authorization: Bearer sha256:" + hex.EncodeToString(make([]byte, 32)),
		} {
			r := d.send(tt.method, tt.path, "", header)
			require.Equal(t, http.StatusUnauthorized, r.StatusCode, "%s %s with %s", tt.method, tt.path, name)
			require.Equal(t, `Bearer realm="gradus"`, r.Header.Get("WWW-Authenticate"))
			if tt.method != "HEAD" {
				require.Equal(t, api.KeyNeeded.Type, problem(t, r).Type)
			}
			require.NotContains(t, d.log.String(), clearKey[:32])
		}
	}
	require.Zero(t, d.grader.calls())
}

func TestOpenPathsWantNone(t *testing.T) {
	t.Parallel()
	d := locked(t)
	for _, path := range []string{"/", "/healthz", "/readyz", "/openapi.json", "/docs", "/docs/start.js", "/problems"} {
		require.Equal(t, http.StatusOK, d.get(path).StatusCode, path)
	}
}

func TestKeysOpenTheDoorForTheirTenant(t *testing.T) {
	t.Parallel()
	d := locked(t)
	for _, header := range []string{"Bearer " + clearKey, "bearer " + clearKey, "Bearer " + hashedKey} {
		require.Equal(t, http.StatusOK, d.post(asked, "Authorization: "+header).StatusCode, header)
		require.Equal(t, "default", d.grader.last(t).Tenant)
	}
	d.send(http.MethodDelete, "/v1/grades/"+someGrade, "", "Authorization: Bearer "+clearKey)
	require.Equal(t, []grading.Key{{Tenant: "default", ID: someGrade}}, d.grader.forgotten)
}

func TestOtherSitesCannotUseABrowserToGrade(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, headers := range [][]string{
		{"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {"Origin: https://evil.example"}, {"Origin: null"},
	} {
		r := d.post(asked, headers...)
		require.Equal(t, http.StatusForbidden, r.StatusCode, headers)
		require.Equal(t, api.CrossOrigin.Type, problem(t, r).Type)
	}
	require.Zero(t, d.grader.calls())
	for _, headers := range [][]string{{"Sec-Fetch-Site: same-origin"}, {"Sec-Fetch-Site: none"}, {"Origin: " + d.url}} {
		require.Equal(t, http.StatusOK, d.post(asked, headers...).StatusCode, headers)
	}
	require.Equal(t, http.StatusOK, d.get("/v1/sets", "Sec-Fetch-Site: cross-site").StatusCode, "a link may lead here")
}

// TestScopesOfRoutes is API5:2023: which scope opens which route, and that no
// other does. Every guarded route must stand in it.
func TestScopesOfRoutes(t *testing.T) {
	t.Parallel()
	matrix := map[string]access.Scope{
		"POST /v1/grades":                         access.Grade,
		"DELETE /v1/grades/{id}":                  access.Grade,
		"GET /v1/grades/{id}":                     access.Read,
		"GET /v1/sets":                            access.Read,
		"GET /v1/sets/{set}":                      access.Read,
		"GET /v1/sets/{set}/questions/{question}": access.Read,
		"POST /v1/batches":                        access.Grade,
		"DELETE /v1/batches/{id}":                 access.Grade,
		"GET /v1/batches/{id}":                    access.Read,
		"GET /v1/batches/{id}/results":            access.Read,
		"GET /v1/batches/{id}/events":             access.Read,
		"GET /metrics":                            access.Admin,
	}
	holders := map[access.Scope]string{}
	var keys []access.Key
	for _, scope := range access.AllScopes.List() {
		for _, set := range []struct {
			name   access.Scope
			scopes access.Scopes
		}{{scope, access.ScopesOf(scope)}, {"not " + scope, access.AllScopes &^ access.ScopesOf(scope)}} {
			clear, key := access.New()
			key.Tenant, key.Scopes = "acme", set.scopes
			holders[set.name], keys = clear, append(keys, key)
		}
	}
	d := open(t, withMetrics, func(c *Config) { c.Keys = access.NewRing(access.RingConfig{Configured: keys}) })
	guarded := 0
	for _, ep := range d.server.endpoints() {
		if ep.open {
			continue
		}
		guarded++
		name := ep.method + " " + ep.path
		need, listed := matrix[name]
		require.True(t, listed, "%s: say here which scope it needs", name)
		path := strings.NewReplacer("{id}", someGrade, "{set}", "platform", "{question}", "on-call").Replace(ep.path)
		r := d.send(ep.method, path, "", "Authorization: Bearer "+holders["not "+need])
		require.Equal(t, http.StatusForbidden, r.StatusCode, name)
		require.Equal(t, api.ForbiddenScope.Type, problem(t, r).Type)
		require.Contains(t, problem(t, r).Detail, `"`+string(need)+`"`, "the missing scope is named")
		r = d.send(ep.method, path, "", "Authorization: Bearer "+holders[need])
		require.NotContains(t, []int{http.StatusForbidden, http.StatusUnauthorized}, r.StatusCode, name)
	}
	require.Len(t, matrix, guarded, "a route that is no longer there")
	require.Zero(t, d.grader.calls())
}
