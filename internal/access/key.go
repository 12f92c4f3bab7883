package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

// A clear key is "gk_", 256 random bits in base 62 and a checksum over both in
// base 62. The prefix lets scanners of source code find a key that was
// committed, the checksum tells a mistyped or invented key without a look at
// the store.
const (
	keyPrefix   = "gk_"
	secretBytes = 32
	secretChars = 43 // 62^43 > 2^256
	sumChars    = 6  // 62^6 > 2^32
	clearChars  = len(keyPrefix) + secretChars + sumChars
	shownChars  = len(keyPrefix) + 5
	keyAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// shortestConfigured is the shortest key accepted in the clear from the
// configuration, in bytes.
const shortestConfigured = 32

// Digest is the SHA-256 digest of a clear key: all that is kept of it.
type Digest [sha256.Size]byte

// Hash is the digest of a clear key.
func Hash(clear string) Digest { return sha256.Sum256([]byte(clear)) }

// ID names the key of a digest. It gives away 100 bits of the digest, which
// help nobody to find a key of 256.
func (d Digest) ID() string { return "key_" + idEncoding.EncodeToString(d[:])[:20] }

// idEncoding is lower case so that ids survive case-folding shells.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// New makes a key. The clear text is returned once and can not be had again.
func New() (clear string, key Key) {
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails
	clear = keyPrefix + base62(new(big.Int).SetBytes(secret), secretChars)
	clear += checksum(clear)
	digest := Hash(clear)
	return clear, Key{ID: digest.ID(), Prefix: clear[:shownChars], Digest: digest}
}

// Genuine reports whether a text has the form of a key that New made. Whether
// it was ever made is for the store to say.
func Genuine(clear string) bool {
	if len(clear) != clearChars || !strings.HasPrefix(clear, keyPrefix) {
		return false
	}
	body, sum := clear[:clearChars-sumChars], clear[clearChars-sumChars:]
	return checksum(body) == sum
}

func checksum(text string) string {
	return base62(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(text)))), sumChars)
}

// base62 is a number in so many digits, the highest first.
func base62(n *big.Int, digits int) string {
	out, base, rest := make([]byte, digits), big.NewInt(int64(len(keyAlphabet))), new(big.Int)
	for i := digits - 1; i >= 0; i-- {
		n.DivMod(n, base, rest)
		out[i] = keyAlphabet[rest.Int64()]
	}
	return string(out)
}

// ErrConfigured is wrapped by what ParseConfigured says of a key.
var ErrConfigured = errors.New("unusable key")

// ParseConfigured reads a key as an operator sets one: a clear key of 32 bytes
// or more, or "sha256:" and the 64 hexadecimal digits of one. The key has every
// scope and belongs to TenantConfigured. No error repeats the key.
func ParseConfigured(text string) (Key, error) {
	var digest Digest
	if digits, hashed := strings.CutPrefix(text, "sha256:"); hashed {
		raw, err := hex.DecodeString(digits)
		if err != nil || len(raw) != len(digest) {
			return Key{}, fmt.Errorf("%w: want sha256: and 64 hexadecimal digits", ErrConfigured)
		}
		copy(digest[:], raw)
	} else {
		if len(text) < shortestConfigured {
			return Key{}, fmt.Errorf("%w: want %d characters or more, or sha256: and 64 hexadecimal digits", ErrConfigured, shortestConfigured)
		}
		digest = Hash(text)
	}
	return Key{ID: digest.ID(), Tenant: TenantConfigured, Scopes: AllScopes, Digest: digest}, nil
}
