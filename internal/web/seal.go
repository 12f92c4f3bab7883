package web

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	cookieName = "gradus_session"
	// sealPurpose keeps this key apart from all others made of the same secret.
	sealPurpose = "gradus session cookie v1"
	// sessionLength is how long a sign-in holds.
	sessionLength = 7 * 24 * time.Hour
	// leastSecret is the shortest secret worth deriving a key from, in bytes.
	leastSecret = 16
)

// seal keeps a caller's key in a cookie that only the service can read.
type seal struct {
	aead cipher.AEAD
	now  func() time.Time
}

func newSeal(secret []byte, now func() time.Time) (*seal, error) {
	if len(secret) < leastSecret {
		return nil, fmt.Errorf("the secret for sessions has fewer than %d bytes", leastSecret)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, sealPurpose, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of sessions: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make the cipher of sessions: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make the cipher of sessions: %w", err)
	}
	return &seal{aead: aead, now: now}, nil
}

// cookie is a session for a key.
func (s *seal) cookie(r *http.Request, key string) *http.Cookie {
	until := s.now().Add(sessionLength)
	plain := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	plain = append(plain, key...)
	c := s.bare(r)
	c.Value = base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(sealPurpose)))
	c.MaxAge = int(sessionLength / time.Second)
	return c
}

// end is the cookie that takes a session away.
func (s *seal) end(r *http.Request) *http.Cookie {
	c := s.bare(r)
	c.MaxAge = -1
	return c
}

func (s *seal) bare(r *http.Request) *http.Cookie {
	// A proxy's word is enough to ask for more care.
	secure := r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
	return &http.Cookie{Name: cookieName, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode}
}

// key is the key of a request's session; empty where there is none, where it is
// over, and where somebody else made it.
func (s *seal) key(r *http.Request) string {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	key, err := s.open(c.Value)
	if err != nil {
		return ""
	}
	return key
}

var errSession = errors.New("not a session")

func (s *seal) open(value string) (string, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return "", errSession
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(sealPurpose))
	if err != nil || len(plain) < 8 {
		return "", errSession
	}
	if until := int64(binary.BigEndian.Uint64(plain)); s.now().Unix() >= until {
		return "", errSession
	}
	return string(plain[8:]), nil
}
