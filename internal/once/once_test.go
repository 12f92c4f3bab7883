package once

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"a", "8e03978e-40d5-43dd-bc93-6894a57f9324", `"quoted, as the draft has it"`, "~ !", strings.Repeat("k", 255)} {
		require.NoError(t, CheckKey(key), key)
	}
	for _, key := range []string{"", strings.Repeat("k", 256), "é", "a\tb", "a\x7f", "a\x00"} {
		require.ErrorIs(t, CheckKey(key), ErrKey, key)
	}
}

func TestAFingerprintCoversEverythingInItsPlace(t *testing.T) {
	t.Parallel()
	print := func(body string, parts ...string) string {
		h := New(parts...)
		io.WriteString(h, body)
		return Sum(h)
	}
	seen := map[string]bool{}
	for _, p := range []string{
		print("body", "a", "b"), print("bodx", "a", "b"), print("body", "ab"), print("body", "ab", ""), print("body", "", "ab"), print("body"), print("", "body"),
	} {
		require.Len(t, p, 64)
		require.False(t, seen[p])
		seen[p] = true
	}
	require.Equal(t, print("body", "a", "b"), print("body", "a", "b"))
}

func TestANameDependsOnRouteAndKeyAlone(t *testing.T) {
	t.Parallel()
	one := Request{Tenant: "acme", Route: "POST /v1/grades", Key: "k", Fingerprint: "1"}
	other := one
	other.Fingerprint, other.Tenant = "2", "rival"
	require.Equal(t, one.Name(), other.Name())
	other.Route = "POST /v1/batches"
	require.NotEqual(t, one.Name(), other.Name())
	require.NotContains(t, one.Name(), one.Key+"k")
}
