package access

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAKeyHas256BitsAPrefixAndAChecksum(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		clear, key := New()
		require.Len(t, clear, 52)
		require.True(t, strings.HasPrefix(clear, "gk_"))
		require.True(t, Genuine(clear))
		require.Equal(t, Digest(sha256.Sum256([]byte(clear))), key.Digest)
		require.Regexp(t, `^key_[a-z2-7]{20}$`, key.ID)
		require.Equal(t, clear[:8], key.Prefix)
		require.False(t, seen[clear] || seen[key.ID])
		seen[clear], seen[key.ID] = true, true
		encoded, err := json.Marshal(key)
		require.NoError(t, err)
		require.NotContains(t, string(encoded), clear[8:])
		require.NotContains(t, string(encoded), hex.EncodeToString(key.Digest[:]))
	}
}

// A key with one character changed, or two swapped, is told without a look at
// the store.
func TestAMistypedKeyIsNotGenuine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clear, _ := New()
		raw := []byte(clear)
		i := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
		other := rapid.SampledFrom([]byte(keyAlphabet)).Draw(t, "typed")
		if raw[i] == other {
			other = '-'
		}
		raw[i] = other
		if Genuine(string(raw)) {
			t.Fatalf("character %d changed and nobody noticed", i)
		}
	})
	for _, text := range []string{"", "gk_", strings.Repeat("g", 52), "gk_" + strings.Repeat("0", 49)} {
		require.False(t, Genuine(text), text)
	}
}

func TestConfiguredKeys(t *testing.T) {
	t.Parallel()
	const clear = "a-clear-key-of-thirty-two-letters"
	sum := sha256.Sum256([]byte(clear))
	for _, text := range []string{clear, "sha256:" + hex.EncodeToString(sum[:]), "sha256:" + strings.ToUpper(hex.EncodeToString(sum[:]))} {
		key, err := ParseConfigured(text)
		require.NoError(t, err)
		require.Equal(t, Hash(clear), key.Digest)
		require.Equal(t, "default", key.Tenant)
		require.Equal(t, AllScopes, key.Scopes)
	}
	for name, text := range map[string]string{
		"short": "hunter2", "empty": "", "half a digest": "sha256:abcd", "not hexadecimal": "sha256:" + clear + clear,
	} {
		_, err := ParseConfigured(text)
		require.ErrorIs(t, err, ErrConfigured, name)
		if text != "" {
			require.NotContains(t, err.Error(), text)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	set, err := ParseScopes("read, grade")
	require.NoError(t, err)
	require.Equal(t, DefaultScopes, set)
	require.Equal(t, "grade,read", set.String())
	require.True(t, set.Has(Read))
	require.False(t, set.Has(Admin))
	require.False(t, AllScopes.Has("everything"))
	for _, text := range []string{"", "write", "grade,,read", "grade;read"} {
		_, err := ParseScopes(text)
		require.Error(t, err, text)
	}
	var read Scopes
	require.NoError(t, json.Unmarshal([]byte(`["admin","of-a-later-version"]`), &read))
	require.Equal(t, ScopesOf(Admin), read)
	written, err := json.Marshal(AllScopes)
	require.NoError(t, err)
	require.JSONEq(t, `["grade","read","admin"]`, string(written))
}

func TestAKeyIsValidUntilItExpiresOrIsRevoked(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	require.NoError(t, (&Key{}).Valid(at))
	k := &Key{Expires: at}
	require.NoError(t, k.Valid(at.Add(-time.Nanosecond)))
	require.ErrorIs(t, k.Valid(at), ErrExpired)
	k.Revoked = at.Add(time.Hour)
	require.ErrorIs(t, k.Valid(at), ErrRevoked, "at once, whatever the clocks say")
}

func TestLimitsOfAKeyComeBeforeDefaults(t *testing.T) {
	t.Parallel()
	defaults := Limits{Rate: 600, InFlight: 32}
	require.Equal(t, Limits{Rate: 10, InFlight: 32, DailyTokens: 5}, Limits{Rate: 10, DailyTokens: 5}.Or(defaults))
}

func TestNamesOfTenants(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"default", "acme", "a", "0", "acme-2.eu_west"} {
		require.NoError(t, CheckTenant(name), name)
	}
	for _, name := range []string{"", "local", "Acme", "a:b", "a b", "-a", ".a", "é", "a\n", strings.Repeat("a", 65)} {
		require.Error(t, CheckTenant(name), name)
	}
	require.NoError(t, CheckName("CI of the north-eastern office"))
	require.Error(t, CheckName("a\nb"))
	require.Error(t, CheckName("\x1b[31m"))
}
