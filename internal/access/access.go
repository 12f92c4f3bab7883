// Package access says who a request comes from and what it may do: the form of
// API keys, what is known of each, the scopes they carry and the limits they
// are held to.
//
// It keeps no secret: of a key only the SHA-256 digest is ever held. It knows
// no HTTP and no Redis; where keys are stored and limits are shared is behind
// two small interfaces.
package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tenants that exist without having been named. Without keys there is one
// tenant; keys from the configuration have another, so that locking an open
// service does not hand its grades to whoever holds a key.
const (
	TenantOpen       = "local"
	TenantConfigured = "default"
)

// Why a key opens nothing. Whoever sends a key may be told which it is: an
// unknown key says nothing about any other, and the rest hold the key.
var (
	ErrUnknown = errors.New("unknown key")
	ErrExpired = errors.New("expired key")
	ErrRevoked = errors.New("revoked key")
)

// ErrUnavailable is wrapped where it could not be found out whether a key is
// valid, or what is left of a limit.
var ErrUnavailable = errors.New("keys cannot be checked")

// Scope is one thing a key may do.
type Scope string

// Grade sends answers in and takes back what was sent; Read looks at grades,
// batches and questions; Admin looks at the service as a whole, across tenants.
// None includes another.
const (
	Grade Scope = "grade"
	Read  Scope = "read"
	Admin Scope = "admin"
)

// everyScope is in the order they are shown.
var everyScope = []Scope{Grade, Read, Admin}

// Scopes is a set of scopes.
type Scopes uint8

// Sets that are used as they are.
var (
	AllScopes     = ScopesOf(everyScope...)
	DefaultScopes = ScopesOf(Grade, Read)
)

// ScopesOf makes a set. Scopes that do not exist are left out.
func ScopesOf(list ...Scope) Scopes {
	var set Scopes
	for _, one := range list {
		if i := slices.Index(everyScope, one); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

// ParseScopes reads a comma-separated list of one or more scopes.
func ParseScopes(text string) (Scopes, error) {
	var set Scopes
	for part := range strings.SplitSeq(text, ",") {
		one := ScopesOf(Scope(strings.TrimSpace(part)))
		if one == 0 {
			return 0, fmt.Errorf("%q is not a scope: want a list of grade, read and admin", strings.TrimSpace(part))
		}
		set |= one
	}
	return set, nil
}

// Has reports whether a scope is in the set.
func (s Scopes) Has(one Scope) bool {
	bit := ScopesOf(one)
	return bit != 0 && s&bit != 0
}

// List is the set in the order scopes are shown, never nil.
func (s Scopes) List() []Scope {
	out := []Scope{}
	for _, one := range everyScope {
		if s.Has(one) {
			out = append(out, one)
		}
	}
	return out
}

// String is the set as ParseScopes reads it.
func (s Scopes) String() string {
	var names []string
	for _, one := range s.List() {
		names = append(names, string(one))
	}
	return strings.Join(names, ",")
}

// MarshalJSON writes a list of names.
func (s Scopes) MarshalJSON() ([]byte, error) { return json.Marshal(s.List()) }

// UnmarshalJSON reads a list of names. A name that this version does not know
// gives no right.
func (s *Scopes) UnmarshalJSON(raw []byte) error {
	var list []Scope
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	*s = ScopesOf(list...)
	return nil
}

// Limits bound what one key may use. 0 means the service's default.
type Limits struct {
	// Rate is requests a minute.
	Rate int `json:"rate,omitempty"`
	// InFlight is requests that are graded at the same time.
	InFlight int `json:"in_flight,omitempty"`
	// DailyTokens is tokens of models a day (UTC).
	DailyTokens int64 `json:"daily_tokens,omitempty"`
}

// Or fills what is 0 from defaults.
func (l Limits) Or(defaults Limits) Limits {
	if l.Rate == 0 {
		l.Rate = defaults.Rate
	}
	if l.InFlight == 0 {
		l.InFlight = defaults.InFlight
	}
	if l.DailyTokens == 0 {
		l.DailyTokens = defaults.DailyTokens
	}
	return l
}

// Check says what is wrong with limits that a person set.
func (l Limits) Check() error {
	if l.Rate < 0 || l.InFlight < 0 || l.DailyTokens < 0 {
		return errors.New("a limit must not be negative")
	}
	return nil
}

// Key is what is known of a key. It holds nothing that could be sent as one.
type Key struct {
	// ID is made from the digest, so that a key is looked up by one name.
	ID string `json:"id"`
	// Prefix is how the clear key begins, for a person who holds several.
	Prefix string `json:"prefix,omitempty"`
	Name   string `json:"name,omitempty"`
	Tenant string `json:"tenant"`
	Scopes Scopes `json:"scopes"`
	Limits Limits `json:"limits"`

	Created time.Time `json:"created_at,omitzero"`
	// Expires and Revoked are zero for a key that does and is not.
	Expires time.Time `json:"expires_at,omitzero"`
	Revoked time.Time `json:"revoked_at,omitzero"`
	// LastUsed is exact to a minute or so.
	LastUsed time.Time `json:"last_used_at,omitzero"`

	Digest Digest `json:"-"`
}

// Valid says whether the key opens anything at a time: nil, ErrRevoked or
// ErrExpired.
func (k *Key) Valid(now time.Time) error {
	switch {
	case !k.Revoked.IsZero():
		return ErrRevoked
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return ErrExpired
	}
	return nil
}

// longestName is in bytes, of tenants and of keys.
const longestName = 64

// CheckTenant says what is wrong with the name of a tenant.
func CheckTenant(name string) error {
	if name == TenantOpen {
		return fmt.Errorf("tenant %q is that of a service without keys: choose another", TenantOpen)
	}
	if name == "" || len(name) > longestName || strings.Trim(name[:1], "abcdefghijklmnopqrstuvwxyz0123456789") != "" ||
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return fmt.Errorf("a tenant is named by up to %d of a-z, 0-9, '.', '_' and '-', the first a letter or digit", longestName)
	}
	return nil
}

// CheckName says what is wrong with the name of a key, which may be empty.
func CheckName(name string) error {
	if len(name) > longestName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("a key is named by up to %d printable ASCII characters", longestName)
	}
	return nil
}
