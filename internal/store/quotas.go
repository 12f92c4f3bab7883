package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/access"
)

var _ access.Quotas = (*Store)(nil)

// leaseScript takes requests of a window, by the clock of Redis: processes whose
// clocks differ agree on when a window ends. A lease is at most a quarter of
// what is left, so that the last requests go to whoever wants them.
//
//	KEYS rate
//	ARGV limit, wanted, window in ms
//	returns granted, left, ms to the end of the window
var leaseScript = redis.NewScript(`
local limit, want, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local number = math.floor(now / window)
local kept = redis.call('HMGET', KEYS[1], 'window', 'used')
local used = 0
if tonumber(kept[1] or -1) == number then
  used = tonumber(kept[2] or 0)
end
local left = math.max(0, limit - used)
local granted = math.min(want, left, math.max(1, math.ceil(left / 4)))
redis.call('HSET', KEYS[1], 'window', string.format('%d', number), 'used', string.format('%d', used + granted))
redis.call('PEXPIRE', KEYS[1], 2 * window)
return {granted, left - granted, (number + 1) * window - now}
`)

// LeaseRequests implements access.Quotas.
func (s *Store) LeaseRequests(ctx context.Context, id string, limit, want int, window time.Duration) (access.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Budget)
	defer cancel()
	got, err := leaseScript.Run(ctx, s.main, []string{s.keys.rate(id)}, limit, want, window.Milliseconds()).Int64Slice()
	if err == nil && len(got) != 3 {
		err = fmt.Errorf("a reply of %d numbers", len(got))
	}
	if err != nil {
		return access.Lease{}, s.unshared("lease requests", id, err)
	}
	return access.Lease{Granted: int(got[0]), Left: int(got[1]), Ends: time.Duration(got[2]) * time.Millisecond}, nil
}

// holdScript sets how many requests a process may have in flight. Processes
// that did not come back in time have lost what they held.
//
//	KEYS slots
//	ARGV process, limit, wanted, time to live in ms
//	returns held
var holdScript = redis.NewScript(`
local me, limit, want, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local all, others = redis.call('HGETALL', KEYS[1]), 0
for i = 1, #all, 2 do
  local n, ends = string.match(all[i + 1], '^(%d+):(%d+)$')
  if all[i] ~= me then
    if n and tonumber(ends) > now then
      others = others + tonumber(n)
    else
      redis.call('HDEL', KEYS[1], all[i])
    end
  end
end
local held = math.max(0, math.min(want, limit - others))
if held == 0 then
  redis.call('HDEL', KEYS[1], me)
else
  redis.call('HSET', KEYS[1], me, string.format('%d:%d', held, now + ttl))
  redis.call('PEXPIRE', KEYS[1], 2 * ttl)
end
return held
`)

// HoldSlots implements access.Quotas.
func (s *Store) HoldSlots(ctx context.Context, id string, limit, want int, ttl time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Budget)
	defer cancel()
	held, err := holdScript.Run(ctx, s.main, []string{s.keys.slots(id)}, s.origin, limit, want, ttl.Milliseconds()).Int()
	if err != nil {
		return 0, s.unshared("hold slots", id, err)
	}
	return held, nil
}

// keepTokens is how long the sum of a day is kept.
const keepTokens = 48 * time.Hour

// SpendTokens implements access.Quotas.
func (s *Store) SpendTokens(ctx context.Context, id, day string, tokens int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Budget)
	defer cancel()
	name := s.keys.tokens(id, day)
	pipe := s.main.TxPipeline()
	sum := pipe.IncrBy(ctx, name, tokens)
	pipe.Expire(ctx, name, keepTokens)
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, s.unshared("add up tokens", id, err)
	}
	return sum.Val(), nil
}

// unshared is what a limit fails with.
func (s *Store) unshared(what, id string, err error) error {
	s.fault(what, err)
	return fmt.Errorf("%s of key %s: %w: %w", what, id, ErrUnavailable, err)
}
