package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
)

// Tenants. Without keys there is one tenant, with keys from the configuration
// there is one too, of another name, so that locking an open service does not
// hand its grades to whoever holds a key.
const (
	tenantOpen = "local"
	tenantKeys = "default"
)

// minKey is the shortest key accepted in the clear, in bytes.
const minKey = 32

// Keys are the API keys that a service accepts, kept as SHA-256 digests. The
// zero value accepts everyone.
type Keys struct{ digests [][sha256.Size]byte }

// NewKeys reads keys: each is a clear key of 32 bytes or more, or "sha256:" and
// the 64 hexadecimal digits of one. No error repeats a key.
func NewKeys(keys ...string) (Keys, error) {
	var k Keys
	for i, key := range keys {
		digits, hashed := strings.CutPrefix(key, "sha256:")
		var digest [sha256.Size]byte
		switch {
		case hashed:
			raw, err := hex.DecodeString(digits)
			if err != nil || len(raw) != len(digest) {
				return Keys{}, fmt.Errorf("API key %d: want sha256: and 64 hexadecimal digits", i+1)
			}
			copy(digest[:], raw)
		case len(key) < minKey:
			return Keys{}, fmt.Errorf("API key %d: want %d characters or more", i+1, minKey)
		default:
			digest = sha256.Sum256([]byte(key))
		}
		k.digests = append(k.digests, digest)
	}
	return k, nil
}

// open reports whether nobody needs a key.
func (k Keys) open() bool { return len(k.digests) == 0 }

// has reports whether a clear key is one of these. It takes the same time
// whichever it is.
func (k Keys) has(key string) bool {
	digest := sha256.Sum256([]byte(key))
	found := 0
	for i := range k.digests {
		found |= subtle.ConstantTimeCompare(digest[:], k.digests[i][:])
	}
	return found == 1
}

// bearer is the key in an Authorization header. The scheme is case-insensitive
// (RFC 9110, section 11.1).
func bearer(authorization string) (string, bool) {
	const scheme = "Bearer "
	if len(authorization) <= len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return "", false
	}
	return strings.TrimSpace(authorization[len(scheme):]), true
}
