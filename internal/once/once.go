// Package once says what makes two requests one: the idempotency key that a
// caller sends with each try, and the fingerprint of what it sent.
//
// It keeps nothing. Of a body only the fingerprint leaves this package, and of
// an idempotency key only a digest.
package once

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"time"
)

// Header carries the key (draft-ietf-httpapi-idempotency-key-header-07).
const Header = "Idempotency-Key"

// Keep is how long a reply is repeated to whoever sends the same request with
// the same key.
const Keep = 24 * time.Hour

// longestKey is in bytes.
const longestKey = 255

var (
	// ErrKey is returned for a key that is none.
	ErrKey = errors.New("expected 1 to 255 printable ASCII characters")
	// ErrRunning is returned while the first request with a key is being answered.
	ErrRunning = errors.New("a request with this idempotency key is in progress")
	// ErrReused is returned for a key that came with another request before.
	ErrReused = errors.New("this idempotency key was used for another request")
)

// CheckKey returns ErrKey unless the key has 1 to 255 printable ASCII
// characters.
func CheckKey(key string) error {
	if key == "" || len(key) > longestKey {
		return ErrKey
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return ErrKey
		}
	}
	return nil
}

// Request is a request that must happen once. Keys of one tenant and one route
// have nothing to do with those of another.
type Request struct {
	Tenant string
	// Route is the method and the pattern of the path.
	Route string
	// Key has been checked.
	Key string
	// Fingerprint covers everything that could change the reply.
	Fingerprint string
}

// Name is a digest of route and key, under which a tenant's request is known.
func (r Request) Name() string {
	h := New(r.Route)
	io.WriteString(h, r.Key)
	return Sum(h)
}

// New begins a fingerprint with what is known of a request before its body is
// read: the route, the query, headers that matter. The body is written to it.
func New(parts ...string) hash.Hash {
	h := sha256.New()
	for _, part := range parts {
		var length [8]byte // so that no two lists of parts run together
		binary.LittleEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		io.WriteString(h, part)
	}
	return h
}

// Sum is a finished fingerprint.
func Sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// Reply is what is repeated.
type Reply struct {
	// Subject is the grade that the body shows, so that the reply is forgotten
	// together with it; empty for a grade that nobody can ask to forget.
	Subject string
	// Cache is where the grade came from the first time.
	Cache string
	Body  []byte
}

// Claim is the right to answer a request. Whoever has it renews it until it
// keeps a reply or lets go; a claim that is not renewed is soon anybody's.
type Claim interface {
	// Keep keeps the reply for whoever sends the request again.
	Keep(ctx context.Context, reply Reply) error
	// Release ends the claim; without a reply kept, the next try starts afresh.
	// It may be called after Keep, and again.
	Release(ctx context.Context)
	// Drop erases a reply that was kept.
	Drop(ctx context.Context) error
}
