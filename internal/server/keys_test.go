package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

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
	keys, err := NewKeys(clearKey, "sha256:"+hex.EncodeToString(sum[:]))
	require.NoError(t, err)
	return open(t, func(c *Config) {
		c.Keys = keys
		c.Metrics = http.NotFoundHandler()
	})
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

func TestWeakKeysAreRefused(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"short": "hunter2", "empty": "", "half a digest": "sha256:abcd", "not hexadecimal": "sha256:" + clearKey + clearKey,
	} {
		_, err := NewKeys(clearKey, key)
		require.ErrorContains(t, err, "API key 2", name)
		if key != "" {
			require.NotContains(t, err.Error(), key)
		}
	}
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
