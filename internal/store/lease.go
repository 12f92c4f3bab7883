package store

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/grading"
)

const (
	// Who waits for another process polls, first after pollFirst, then ever
	// less often, each time a random part sooner. An event wakes it at once.
	pollFirst = 10 * time.Millisecond
	pollMost  = 100 * time.Millisecond
	// A lock that would last longer than this many leases is none of ours.
	absurdLeases = 20
)

func newToken() string { return rand.Text() }

// claimed is what claim found: the lock was free and is now held under token,
// or somebody has it (token is empty). Either way a grade may be there already.
type claimed struct {
	token  string
	record *grading.Record
}

// claim takes the lock on a key if it is free, and looks for the grade after
// that: whoever held the lock before has kept its grade before letting go. A
// refreshing flight takes the lock from whoever has it, who then cannot write
// over the fresh grade.
func (s *Store) claim(ctx context.Context, f *flight, token string) (claimed, error) {
	s.renew(f)
	names := s.names(f.key)
	var took *redis.BoolCmd
	var value *redis.StringCmd
	var left *redis.DurationCmd
	err := s.breaker.do(ctx, func(ctx context.Context) error {
		if f.mode == refreshing {
			return s.shared.Set(ctx, names.lock, token, s.cfg.Lease).Err()
		}
		pipe := s.shared.Pipeline()
		took = pipe.SetNX(ctx, names.lock, token, s.cfg.Lease)
		value = pipe.GetRange(ctx, names.grade, 0, maxEntry)
		left = pipe.PTTL(ctx, names.lock)
		if _, err := pipe.Exec(ctx); err != nil && !isReply(err) {
			return err
		}
		return took.Err() // a store that refuses writes, for one
	})
	if err != nil {
		s.fault("lock grade", err)
		return claimed{}, err
	}
	if f.mode == refreshing {
		return claimed{token: token}, nil
	}
	r, err := s.read(f, names.grade, value, value.Err())
	if err != nil {
		return claimed{}, err
	}
	if took.Val() {
		return claimed{token: token, record: r}, nil
	}
	if ttl, err := left.Result(); r == nil && err == nil && (ttl == -1 || ttl > absurdLeases*s.cfg.Lease) {
		// Nobody who might let go: replace it, and hold it.
		err := s.breaker.do(ctx, func(ctx context.Context) error {
			return s.shared.Set(ctx, names.lock, token, s.cfg.Lease).Err()
		})
		if err != nil {
			s.fault("lock grade", err)
			return claimed{}, err
		}
		return claimed{token: token}, nil
	}
	return claimed{record: r}, nil
}

// obtain waits until the lock is held (token), or somebody else's grade is
// there (record). waited says that another process was computing meanwhile.
func (s *Store) obtain(ctx context.Context, f *flight) (token string, r *grading.Record, waited bool, err error) {
	token = newToken()
	for delay := pollFirst; ; delay = min(2*delay, pollMost) {
		c, err := s.claim(ctx, f, token)
		switch {
		case err != nil:
			return "", nil, waited, err
		case c.record != nil && c.token != "":
			s.release(ctx, f.key, token)
			return "", c.record, waited, nil
		case c.record != nil:
			return "", c.record, waited, nil
		case c.token != "":
			return token, nil, waited, nil
		}
		if !waited {
			waited = true
			s.stats.following.Add(1)
			defer s.stats.following.Add(-1)
		}
		timer := time.NewTimer(delay/2 + mathrand.N(delay/2))
		select {
		case <-f.wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", nil, waited, ctx.Err()
		}
		timer.Stop()
		// A look before the next claim: most waits end with the grade there,
		// and a claim would take the lock for nothing.
		if r, err := s.lookup(ctx, f); r != nil || err != nil {
			return "", r, waited, err
		}
	}
}

// holdOn renews the lock until stop is called, which waits for its end and may
// be called again. A lock that was taken away is left alone; so is one that
// cannot be reached, until the next turn.
func (s *Store) holdOn(ctx context.Context, key grading.Key, token string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(s.cfg.Lease / 3)
		defer ticker.Stop()
		lock := s.keys.lock(key)
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			var held bool
			err := s.breaker.do(ctx, func(ctx context.Context) (err error) {
				held, err = runRenew(ctx, s.shared, lock, token, s.cfg.Lease)
				return err
			})
			if err == nil && !held {
				return
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// release gives the lock up without a grade, so that those who wait try for
// themselves. If that fails the lease runs out by itself.
func (s *Store) release(ctx context.Context, key grading.Key, token string) {
	err := s.breaker.do(context.WithoutCancel(ctx), func(ctx context.Context) error {
		return runRelease(ctx, s.shared, s.keys.lock(key), token,
			s.keys.events(), event{s.origin, eventReleased, key}.encode())
	})
	if err != nil {
		s.fault("unlock grade", err)
	}
}
