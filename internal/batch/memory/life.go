package memory

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
)

// Cancel implements batch.Store.
func (s *Store) Cancel(ctx context.Context, key batch.Key) (*batch.Batch, error) {
	if err := s.enter(ctx, "Cancel"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r, err := s.find(key)
	if err != nil {
		return nil, err
	}
	if !r.Status.Over() {
		r.Cancelled = r.Pending()
		s.end(r, batch.Cancelled)
	}
	return r.copy(), nil
}

func (s *Store) end(r *record, status batch.Status) {
	at := s.clock()
	r.Status, r.FinishedAt, r.PausedReason = status, &at, ""
	r.notice = r.Options.WebhookURL != ""
	s.touch(r)
}

// Purge implements batch.Store.
func (s *Store) Purge(ctx context.Context, key batch.Key) error {
	if err := s.enter(ctx, "Purge"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	r, err := s.find(key)
	if err != nil {
		return err
	}
	if !r.Status.Over() {
		return batch.ErrNotOver
	}
	delete(s.batches, key)
	if r.key != nil {
		delete(s.keys, *r.key)
	}
	s.touch(r)
	return nil
}

// Pause implements batch.Store.
func (s *Store) Pause(ctx context.Context, key batch.Key, reason string) error {
	if err := s.enter(ctx, "Pause"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	r, err := s.find(key)
	if err != nil {
		return err
	}
	if r.Status == batch.Queued || r.Status == batch.Running {
		r.Status, r.PausedReason = batch.Paused, reason
		s.touch(r)
	}
	return nil
}

// Resume implements batch.Store.
func (s *Store) Resume(ctx context.Context, key batch.Key) error {
	if err := s.enter(ctx, "Resume"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	r, err := s.find(key)
	if err != nil {
		return err
	}
	if r.Status == batch.Paused {
		r.Status, r.PausedReason = batch.Running, ""
		s.touch(r)
	}
	return nil
}

// Active implements batch.Store.
func (s *Store) Active(ctx context.Context) ([]batch.Key, error) {
	return s.list(ctx, "Active", func(r *record) bool { return !r.Status.Over() })
}

// Notices implements batch.Store.
func (s *Store) Notices(ctx context.Context) ([]batch.Key, error) {
	return s.list(ctx, "Notices", func(r *record) bool { return r.notice })
}

func (s *Store) list(ctx context.Context, method string, wanted func(*record) bool) ([]batch.Key, error) {
	if err := s.enter(ctx, method); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	records := slices.Collect(maps.Values(s.batches))
	slices.SortFunc(records, func(a, b *record) int { return cmp.Compare(a.order, b.order) })
	var keys []batch.Key
	for _, r := range records {
		if wanted(r) {
			keys = append(keys, r.Key)
		}
	}
	return keys, nil
}

// Noticed implements batch.Store.
func (s *Store) Noticed(ctx context.Context, key batch.Key) error {
	if err := s.enter(ctx, "Noticed"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if r, err := s.find(key); err == nil {
		r.notice = false
	}
	return nil
}

// Lead implements batch.Store.
func (s *Store) Lead(ctx context.Context, name, process string, lease time.Duration) (bool, error) {
	if err := s.enter(ctx, "Lead"); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	if l, found := s.leaders[name]; found && l.process != process && l.until.After(s.clock()) {
		return false, nil
	}
	s.leaders[name] = leader{process, s.clock().Add(lease)}
	return true, nil
}

// ErrDown is a store that does not answer, for FailWith.
var ErrDown = errors.New("the store does not answer")
