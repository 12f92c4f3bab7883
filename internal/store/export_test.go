package store

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/grading"
)

// Live reports whether the memory cache is believed without asking.
func (s *Store) Live() bool { return s.live.Load() }

// Waiters counts the callers that wait for a grade to be fetched.
func (s *Store) Waiters(key grading.Key) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[flightKey{key, fetching}]; f != nil {
		return f.waiters
	}
	return 0
}

// BeforeClaim runs fn once, before the store's next pipeline reaches Redis:
// between a look that found nothing and the claim that follows it.
func (s *Store) BeforeClaim(fn func()) {
	s.shared.AddHook(&claimHook{fn: fn})
}

type claimHook struct {
	once sync.Once
	fn   func()
}

func (h *claimHook) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *claimHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (h *claimHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.once.Do(h.fn)
		return next(ctx, cmds)
	}
}
