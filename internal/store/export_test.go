package store

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/batch"
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

// Pass makes everything about batches d older: what expires does so sooner, and
// what was noted at a time was noted that much earlier.
func (b *Batches) Pass(ctx context.Context, d time.Duration) error {
	ms := d.Milliseconds()
	for all := b.redis.Scan(ctx, 0, string(b.store.keys)+"*", 1000).Iterator(); all.Next(ctx); {
		key := all.Val()
		left, err := b.redis.PTTL(ctx, key).Result()
		if err != nil {
			return err
		}
		if left > 0 {
			// A time that is over by then erases the key.
			if err := b.redis.PExpire(ctx, key, left-d).Err(); err != nil {
				return err
			}
		}
		if !strings.HasPrefix(key, string(b.store.keys)+"chunks:") {
			continue
		}
		lines, err := b.redis.HGetAll(ctx, key).Result()
		if err != nil {
			return err
		}
		for field, line := range lines {
			words := strings.Fields(line)
			for _, i := range []int{4, 5} { // till, queued
				if at, err := strconv.ParseInt(words[i], 10, 64); err == nil && at != 0 {
					words[i] = strconv.FormatInt(at-ms, 10)
				}
			}
			if err := b.redis.HSet(ctx, key, field, strings.Join(words, " ")).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Client reaches what the batches are kept in.
func (b *Batches) Client() *redis.Client { return b.store.main }

// Prefix begins every key.
func (b *Batches) Prefix() string { return string(b.store.keys) }

// AddHook sees every command on batches.
func (b *Batches) AddHook(h redis.Hook) { b.redis.AddHook(h) }

// Watching counts who waits for a batch to change.
func (b *Batches) Watching(key batch.Key) int {
	b.watch.mu.Lock()
	defer b.watch.mu.Unlock()
	if at := b.watch.watched[key]; at != nil {
		return at.waiting
	}
	return 0
}
