package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/grading"
)

// Fetch implements grading.Cache. While the shared store cannot be asked, what
// the memory cache holds is a hit and all else is computed here.
//
// Of those who share a computation exactly one is told grading.Miss, so that
// what it cost is counted once; if the caller that began it has gone, another
// is told instead. A panic of compute is an error for all who wait for it.
func (s *Store) Fetch(ctx context.Context, key grading.Key, fresh bool, compute func(context.Context) (*grading.Record, error)) (*grading.Record, grading.Source, error) {
	m := refreshing
	if !fresh {
		m = fetching
		if s.live.Load() {
			if r := s.memory.get(key); r != nil {
				s.stats.memoryHits.Add(1)
				return r, grading.Hit, nil
			}
		}
	}
	do := steps{run: func(ctx context.Context, f *flight, seen error) outcome {
		return s.fetch(ctx, f, seen, compute)
	}}
	if s.shared != nil && !fresh {
		do.look = s.look
	}
	return s.share(ctx, key, m, do)
}

// look is the first step of a flight that may find a grade in the shared store.
func (s *Store) look(ctx context.Context, f *flight) (outcome, bool) {
	r, err := s.lookup(ctx, f)
	if err != nil {
		// What memory has is as good as can be known now.
		f.recalled = true
		r = s.memory.get(f.key)
	}
	if r != nil {
		return outcome{r, grading.Hit, nil}, true
	}
	return outcome{err: err}, false
}

// fetch is the rest: to compute, at best while holding the lock on the key.
// seen is why the shared store could not be asked.
func (s *Store) fetch(ctx context.Context, f *flight, seen error, compute func(context.Context) (*grading.Record, error)) outcome {
	if s.shared == nil {
		r, err := s.compute(ctx, compute)
		if err == nil && r.Keep {
			s.remember(f, r, s.cfg.Now().Add(s.cfg.Retention))
		}
		return outcome{r, grading.Miss, err}
	}
	if seen != nil {
		return s.computeAlone(ctx, f, compute)
	}
	token, r, waited, err := s.obtain(ctx, f)
	switch {
	case ctx.Err() != nil && err != nil:
		return outcome{err: ctx.Err()}
	case err != nil:
		return s.computeAlone(ctx, f, compute)
	case r != nil && waited:
		return outcome{r, grading.Shared, nil}
	case r != nil:
		return outcome{r, grading.Hit, nil}
	}
	return s.computeHolding(ctx, f, token, compute)
}

// computeHolding computes while holding the lock, and keeps the grade.
func (s *Store) computeHolding(ctx context.Context, f *flight, token string, compute func(context.Context) (*grading.Record, error)) outcome {
	stop := s.holdOn(ctx, f.key, token)
	done := false
	defer func() {
		stop()
		if !done {
			s.release(ctx, f.key, token)
		}
	}()
	r, err := s.compute(ctx, compute)
	if err != nil {
		return outcome{err: err}
	}
	stop()
	if r.Keep {
		done = s.commit(ctx, f, token, r)
	}
	return outcome{r, grading.Miss, nil}
}

// computeAlone computes while the shared store cannot be asked. If it can be by
// the time the grade is there, the grade is kept in it all the same.
func (s *Store) computeAlone(ctx context.Context, f *flight, compute func(context.Context) (*grading.Record, error)) outcome {
	r, err := s.compute(ctx, compute)
	if err != nil {
		return outcome{err: err}
	}
	if r.Keep {
		c, err := s.claim(context.WithoutCancel(ctx), f, newToken())
		switch {
		case err != nil:
			s.remember(f, r, s.cfg.Now().Add(s.cfg.Retention))
		case c.token != "":
			s.commit(ctx, f, c.token, r)
		}
	}
	return outcome{r, grading.Miss, nil}
}

// commit keeps a grade in the shared store and in memory, if the lock is still
// held. It reports whether the lock is given up.
func (s *Store) commit(ctx context.Context, f *flight, token string, r *grading.Record) bool {
	expires := s.cfg.Now().Add(s.cfg.Retention)
	names := s.names(f.key)
	entry := encodeEntry(names.grade, r, expires)
	if len(entry) > maxEntry {
		s.remember(f, r, expires)
		return false
	}
	raw := encodeReplies(names.replies, r.Replies)
	stale := s.renew(f)
	var held bool
	err := s.breaker.do(context.WithoutCancel(ctx), func(ctx context.Context) (err error) {
		held, err = runCommit(ctx, s.shared, names, token, entry, raw, s.cfg.Retention,
			s.keys.events(), event{s.origin, eventKept, f.key}.encode())
		return err
	})
	switch {
	case err != nil:
		s.fault("keep grade", err)
		if !stale {
			s.remember(f, r, expires)
		}
		return false
	case held:
		// The raw replies are kept behind, not in memory.
		s.remember(f, grading.RestoreRecord(r.JSON(), r.Spent, nil), expires)
	}
	return true
}

// remember puts a grade into the memory cache, unless something happened to it
// since the flight last looked.
func (s *Store) remember(f *flight, r *grading.Record, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.stale {
		return
	}
	for m := range modes {
		if other := s.flights[flightKey{f.key, m}]; other != nil && other != f {
			other.stale = true
		}
	}
	s.memory.set(f.key, r, expires)
}

// lookup reads the shared store. It returns nil without an error where there
// is no grade that can be believed.
func (s *Store) lookup(ctx context.Context, f *flight) (*grading.Record, error) {
	s.renew(f)
	name := s.keys.grade(f.key)
	var value *redis.StringCmd
	err := s.breaker.do(ctx, func(ctx context.Context) error {
		// A range, so that a huge value that is not ours costs no more than
		// the largest that may be.
		value = s.shared.GetRange(ctx, name, 0, maxEntry)
		return value.Err()
	})
	return s.read(f, name, value, err)
}

// read makes a record of what the shared store answered.
func (s *Store) read(f *flight, name string, value *redis.StringCmd, err error) (*grading.Record, error) {
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		s.stats.damaged.Add(1)
		return nil, nil // a miss that gets replaced
	}
	if err != nil {
		s.fault("look up grade", err)
		return nil, err
	}
	b, err := value.Bytes()
	if err != nil || len(b) == 0 {
		return nil, err
	}
	r, expires, ok := decodeEntry(name, b)
	if !ok {
		s.stats.damaged.Add(1)
		return nil, nil
	}
	s.remember(f, r, expires)
	return r, nil
}

// Get implements grading.Cache. Where the shared store cannot be asked and the
// memory cache has nothing, the error wraps ErrUnavailable. The record of a
// grade kept in Redis comes without its raw replies: see Replies.
func (s *Store) Get(ctx context.Context, key grading.Key) (*grading.Record, error) {
	if s.live.Load() {
		if r := s.memory.get(key); r != nil {
			s.stats.memoryHits.Add(1)
			return r, nil
		}
	}
	if s.shared == nil {
		return nil, grading.ErrNotFound
	}
	r, _, err := s.share(ctx, key, getting, steps{look: func(ctx context.Context, f *flight) (outcome, bool) {
		o, found := s.look(ctx, f)
		switch {
		case found:
		case o.err != nil:
			o.err = fmt.Errorf("get grade: %w: %w", ErrUnavailable, o.err)
		default:
			o.err = grading.ErrNotFound
		}
		return o, true
	}})
	return r, err
}

// Replies returns the raw replies behind a kept grade: none for a grade made
// without a model, grading.ErrNotFound for a grade that is not kept.
func (s *Store) Replies(ctx context.Context, key grading.Key) ([]string, error) {
	r, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if s.shared == nil || len(r.Replies) > 0 {
		return r.Replies, nil
	}
	name := s.keys.replies(key)
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b, err := s.shared.Get(limited, name).Bytes()
	switch {
	case errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "WRONGTYPE"):
		return nil, nil
	case err != nil:
		s.fault("read replies", err)
		return nil, fmt.Errorf("read replies: %w: %w", ErrUnavailable, err)
	}
	return decodeReplies(name, b), nil
}

// Forget implements grading.Cache. It erases the grade, the raw replies behind
// it, replies that are kept for a repeated request and show it, and every memory
// cache's copy, and computations in flight will not be
// kept. Where the shared store cannot be reached, this process forgets and the
// error wraps ErrUnavailable. A process that is cut off from the shared store
// learns of it when it is back, and forgets all it has then.
func (s *Store) Forget(ctx context.Context, key grading.Key) error {
	s.changed(key, true)
	if s.shared == nil {
		return s.forgetReplies(ctx, key)
	}
	names := s.names(key)
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := runForget(limited, s.shared, names, s.keys.events(), event{s.origin, eventForgotten, key}.encode())
	// Again: a flight may have read the grade just before it went.
	s.changed(key, true)
	if err != nil {
		s.fault("forget grade", err)
		return fmt.Errorf("forget grade: %w: %w", ErrUnavailable, err)
	}
	// Last: a reply that is kept after this finds that its grade has gone.
	return s.forgetReplies(ctx, key)
}

// patience is how long an operation that must succeed may take.
const patience = 2 * time.Second
