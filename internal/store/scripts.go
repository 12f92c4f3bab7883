package store

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Each script runs by its digest, and is sent once to a server that does not
// know it yet (go-redis: EVALSHA, then EVAL on NOSCRIPT).
//
// PUBLISH is called so that it may fail: a user without the right to publish
// can still keep grades, and others then find them by polling.

// commitScript keeps an entry and gives the lock up, if the lock is still held.
// Whoever lost it (a lease that ran out, a fresh request, a Forget) must not
// write over what came after.
//
//	KEYS grade, replies, lock
//	ARGV token, entry, replies ("" for none), time to live in ms, channel, event
//	returns 1 kept, 0 not the holder
var commitScript = redis.NewScript(`
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
if ARGV[3] == '' then
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
redis.call('DEL', KEYS[3])
redis.pcall('PUBLISH', ARGV[5], ARGV[6])
return 1
`)

func runCommit(ctx context.Context, c redis.Scripter, n names, token string, entry, raw []byte, ttl time.Duration, channel, event string) (bool, error) {
	kept, err := commitScript.Run(ctx, c, []string{n.grade, n.replies, n.lock}, token, entry, raw, ttl.Milliseconds(), channel, event).Int()
	return kept == 1, err
}

// releaseScript gives the lock up without keeping anything.
//
//	KEYS lock
//	ARGV token, channel, event
//	returns 1 released, 0 not the holder
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', ARGV[2], ARGV[3])
return 1
`)

func runRelease(ctx context.Context, c redis.Scripter, lock, token, channel, event string) error {
	return releaseScript.Run(ctx, c, []string{lock}, token, channel, event).Err()
}

// renewScript makes the lock last another lease.
//
//	KEYS lock
//	ARGV token, lease in ms
//	returns 1 renewed, 0 not the holder
var renewScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

func runRenew(ctx context.Context, c redis.Scripter, lock, token string, lease time.Duration) (bool, error) {
	n, err := renewScript.Run(ctx, c, []string{lock}, token, lease.Milliseconds()).Int()
	return n == 1, err
}

// forgetScript erases a grade, the replies behind it and the lock of whoever
// is computing it now, whose grade then will not be kept.
//
//	KEYS grade, replies, lock
//	ARGV channel, event
//	returns how many of the keys there were
var forgetScript = redis.NewScript(`
local n = redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.pcall('PUBLISH', ARGV[1], ARGV[2])
return n
`)

func runForget(ctx context.Context, c redis.Scripter, n names, channel, event string) error {
	return forgetScript.Run(ctx, c, []string{n.grade, n.replies, n.lock}, channel, event).Err()
}
