package grading

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/gradus-ai/gradus/internal/judge"
)

// ErrNotFound is returned for a grade that is not kept, or not for this tenant.
var ErrNotFound = errors.New("grade not found")

// Key addresses a grade. ID already covers the tenant; Tenant stands beside it
// so that a store can keep tenants apart by name as well.
type Key struct {
	Tenant string
	ID     string
}

// Source says where a fetched grade came from, in the words of X-Cache.
type Source string

// Hit was kept already, Miss was computed for this caller, Shared was computed
// for an identical request in flight, here or in another process.
const (
	Hit    Source = "hit"
	Miss   Source = "miss"
	Shared Source = "shared"
)

// Cache keeps grades and computes each at most once at a time.
type Cache interface {
	// Fetch returns the record under key, or runs compute and keeps what it
	// returns. Identical requests in flight share one compute, across processes
	// where the cache has a shared store. fresh skips the lookup and replaces
	// what is kept. A record with Keep false is shared with those who wait for
	// it and then forgotten; errors are never kept. A failing store never fails
	// Fetch: it computes. The context given to compute outlives any single
	// caller and ends when the last one has gone.
	Fetch(ctx context.Context, key Key, fresh bool, compute func(context.Context) (*Record, error)) (*Record, Source, error)
	// Get returns the record under key, or ErrNotFound.
	Get(ctx context.Context, key Key) (*Record, error)
	// Forget erases the record under key everywhere; erasing nothing is not an error.
	Forget(ctx context.Context, key Key) error
}

// Record is a grade as it is kept: the JSON that a hit is answered with, what
// the grade cost when it was made, and the raw replies behind it. The JSON is
// decoded only when somebody looks inside, so that a hit costs a copy.
type Record struct {
	// Keep is false for a grade that must not be cached: without a score, or
	// degraded.
	Keep bool
	// Spent is what making the grade cost; the Usage inside the kept grade is
	// zero, since a hit spends nothing.
	Spent   judge.Usage
	Replies []string

	wire  []byte
	once  sync.Once
	grade *Grade
	err   error
}

// NewRecord encodes a grade for keeping. The grade's own Usage moves to Spent.
func NewRecord(g Grade, keep bool, replies []string) (*Record, error) {
	r := &Record{Keep: keep, Spent: g.Usage, Replies: replies}
	g.Usage = judge.Usage{}
	wire, err := json.Marshal(&g)
	if err != nil {
		return nil, fmt.Errorf("encode grade: %w", err)
	}
	r.wire, r.grade = wire, &g
	r.once.Do(func() {}) // already decoded
	return r, nil
}

// RestoreRecord makes a record from JSON that a store kept and has verified.
// The slice is not copied and must not change.
func RestoreRecord(wire []byte, spent judge.Usage, replies []string) *Record {
	return &Record{Keep: true, Spent: spent, Replies: replies, wire: wire}
}

// JSON is the grade as a hit is answered. The slice must not be changed.
func (r *Record) JSON() []byte { return r.wire }

// Grade decodes the record. The grade is shared and must not be changed.
func (r *Record) Grade() (*Grade, error) {
	r.once.Do(func() {
		var g Grade
		if err := json.Unmarshal(r.wire, &g); err != nil {
			r.err = fmt.Errorf("decode grade: %w", err)
			return
		}
		r.grade = &g
	})
	return r.grade, r.err
}
