// Package memory has a batch.Store and a batch.Queue made of maps: for batches
// that need to outlive nothing, such as a file graded by one command, and for
// tests, which can make them fail.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
)

const (
	reservedFor = time.Minute
	stagedFor   = time.Hour
	longPoll    = 3 * time.Second
)

// Store is a batch.Store made of maps. It is safe for concurrent use.
type Store struct {
	now   func() time.Time
	fault func(method string) error

	mu      sync.Mutex
	skipped time.Duration
	batches map[batch.Key]*record
	staged  map[batch.Key]map[int]staged
	keys    map[idempotencyKey]*reserved
	leaders map[string]leader
	changed chan struct{} // closed with the next change
	order   int
	calls   map[string]int
}

var _ batch.Store = (*Store)(nil)

type idempotencyKey struct{ tenant, key string }

type reserved struct {
	token string
	until time.Time
	used  *batch.Used
}

type staged struct {
	chunk batch.Chunk
	until time.Time
}

type leader struct {
	process string
	until   time.Time
}

type record struct {
	batch.Batch
	order   int
	chunks  []*chunk
	items   []batch.Item // by index
	results map[int]batch.Result
	key     *idempotencyKey
	notice  bool
}

type chunk struct {
	batch.Chunk
	gen, fence int64
	holder     string // empty when free
	until      time.Time
	suspect    int // index of an item, -1 for none
	crashes    int
	suspected  map[int]int
	enqueued   time.Time
	done       bool
}

// NewStore makes an empty Store that tells the time by now.
func NewStore(now func() time.Time) *Store {
	return &Store{
		now:     now,
		fault:   func(string) error { return nil },
		batches: map[batch.Key]*record{},
		staged:  map[batch.Key]map[int]staged{},
		keys:    map[idempotencyKey]*reserved{},
		leaders: map[string]leader{},
		changed: make(chan struct{}),
		calls:   map[string]int{},
	}
}

// FailWith makes every later call ask fault first, which is given the name of
// the method; what it returns is the call's error, and nothing is done then.
func (s *Store) FailWith(fault func(method string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Pass makes the store's clock jump.
func (s *Store) Pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped += d
}

// Calls is how often a method was called.
func (s *Store) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// enter begins a method: it locks, unless there is an error.
func (s *Store) enter(ctx context.Context, method string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	s.calls[method]++
	fault := s.fault
	s.mu.Unlock()
	if err := fault(method); err != nil {
		return err
	}
	s.mu.Lock()
	return nil
}

func (s *Store) clock() time.Time { return s.now().Add(s.skipped) }

// touch notes a change that readers can see.
func (s *Store) touch(r *record) {
	r.Version++
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Store) find(key batch.Key) (*record, error) {
	r, ok := s.batches[key]
	if !ok {
		return nil, batch.ErrNotFound
	}
	return r, nil
}

// copy is the batch as a caller may keep it.
func (r *record) copy() *batch.Batch {
	b := r.Batch
	return &b
}

// Reserve implements batch.Store.
func (s *Store) Reserve(ctx context.Context, r batch.Reservation) (*batch.Used, error) {
	if err := s.enter(ctx, "Reserve"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	key := idempotencyKey{r.Tenant, r.Key}
	held, found := s.keys[key]
	switch {
	case found && held.used != nil:
		used := *held.used
		return &used, nil
	case found && held.token != r.Token && held.until.After(s.clock()):
		return nil, batch.ErrInProgress
	}
	s.keys[key] = &reserved{token: r.Token, until: s.clock().Add(reservedFor)}
	return nil, nil
}

// Release implements batch.Store.
func (s *Store) Release(ctx context.Context, r batch.Reservation) error {
	if err := s.enter(ctx, "Release"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	key := idempotencyKey{r.Tenant, r.Key}
	if held, found := s.keys[key]; found && held.used == nil && held.token == r.Token {
		delete(s.keys, key)
	}
	return nil
}

// Stage implements batch.Store.
func (s *Store) Stage(ctx context.Context, key batch.Key, c batch.Chunk) error {
	if err := s.enter(ctx, "Stage"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if s.staged[key] == nil {
		s.staged[key] = map[int]staged{}
	}
	c.Items = slices.Clone(c.Items)
	s.staged[key][c.Index] = staged{c, s.clock().Add(stagedFor)}
	return nil
}

// Commit implements batch.Store.
func (s *Store) Commit(ctx context.Context, b batch.Batch, r *batch.Reservation, fingerprint string) (*batch.Used, error) {
	if err := s.enter(ctx, "Commit"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	rec := &record{Batch: b, results: map[int]batch.Result{}, items: make([]batch.Item, b.Total)}
	if r != nil {
		key := idempotencyKey{r.Tenant, r.Key}
		held, found := s.keys[key]
		switch {
		case found && held.used != nil:
			used := *held.used
			return &used, nil
		case found && held.token != r.Token && held.until.After(s.clock()):
			return nil, batch.ErrInProgress
		}
		rec.key = &key
	}
	items := 0
	for i := range b.Chunks {
		st, found := s.staged[b.Key][i]
		if !found || !st.until.After(s.clock()) {
			return nil, fmt.Errorf("chunk %d is not staged", i)
		}
		rec.chunks = append(rec.chunks, &chunk{Chunk: st.chunk, gen: 1, suspect: -1, suspected: map[int]int{}})
		for _, item := range st.chunk.Items {
			rec.items[item.Index] = item
			items++
		}
	}
	if items != b.Total {
		return nil, fmt.Errorf("%d items are staged, not %d", items, b.Total)
	}
	delete(s.staged, b.Key)
	s.order++
	rec.order, rec.CreatedAt, rec.Status = s.order, s.clock(), batch.Queued
	s.batches[b.Key] = rec
	if rec.key != nil {
		s.keys[*rec.key] = &reserved{used: &batch.Used{Fingerprint: fingerprint, BatchID: b.ID}}
	}
	s.touch(rec)
	return nil, nil
}

// Discard implements batch.Store.
func (s *Store) Discard(ctx context.Context, key batch.Key, _ int) error {
	if err := s.enter(ctx, "Discard"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	delete(s.staged, key)
	return nil
}

// Get implements batch.Store.
func (s *Store) Get(ctx context.Context, key batch.Key) (*batch.Batch, error) {
	if err := s.enter(ctx, "Get"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r, err := s.find(key)
	if err != nil {
		return nil, err
	}
	return r.copy(), nil
}

// Changed implements batch.Store.
func (s *Store) Changed(ctx context.Context, key batch.Key, seen int64) (*batch.Batch, error) {
	timeout := time.NewTimer(longPoll)
	defer timeout.Stop()
	for late := false; ; {
		if err := s.enter(ctx, "Changed"); err != nil {
			return nil, err
		}
		r, err := s.find(key)
		if err != nil || r.Version != seen || late {
			defer s.mu.Unlock()
			if err != nil {
				return nil, err
			}
			return r.copy(), nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-timeout.C:
			late = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
